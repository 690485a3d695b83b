"""Silent streams that get signals; run by test_signals.py in a fresh process."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import keras
import tensorflow as tf

from tests import groups
from tfkafka import (
    Admin,
    CommitCallback,
    CsvDecoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    write,
)

RECORDS = 4
ROWS = ["1,2"] * RECORDS
EARLIEST = {"auto.offset.reset": "earliest"}
# A stream is silent for this long before the signal: TensorFlow's C++ then surely waits.
SILENCE_S = 0.4
# A hang is ended after this.
DEADLINE_S = 20.0

Loop = Callable[[Any, "Signals"], Any]


class UsersError(Exception):
    """What a handler raises."""


@dataclass
class Outcome:
    """What came of a loop that got a signal.

    Attributes:
        result: what the loop returned, or the name of its exception.
        heard_s: seconds from each signal to its handler.
        ended_s: seconds from the last signal to the end of the loop.
    """

    result: Any = None
    heard_s: list[float] = field(default_factory=list)
    ended_s: float = 0.0


class Signals:
    """Signals that this process sends to itself, and their handler.

    Args:
        numbers: the signals, one after another.
        action: what the handler does; None: Python's own for SIGINT.
        then: called when the last handler should long have run.
    """

    def __init__(
        self,
        numbers: list[signal.Signals],
        action: Callable[[], object] | None,
        then: Callable[[], object] = lambda: None,
    ):
        self.outcome = Outcome()
        self.numbers, self._action, self._then = numbers, action, then
        self.progress = 0
        self._sent = 0.0
        self._watchdog = threading.Timer(DEADLINE_S, self._give_up)

    def install(self) -> None:
        for number in self.numbers:
            own = signal.default_int_handler if self._action is None else self._handle
            signal.signal(number, own)

    def send(self) -> None:
        """Send them once the stream has been silent for a while."""
        self._watchdog.start()
        threading.Thread(target=self._send, daemon=True).start()

    def ended(self, result: object) -> Outcome:
        self.outcome.result, self.outcome.ended_s = result, time.monotonic() - self._sent
        self._watchdog.cancel()
        return self.outcome

    def _send(self) -> None:
        for number in self.numbers:
            self._wait_for_silence()
            self._sent = time.monotonic()
            os.kill(os.getpid(), number)
        time.sleep(SILENCE_S)
        self._then()

    def _wait_for_silence(self) -> None:
        seen = -1
        while seen < self.progress:
            seen = self.progress
            time.sleep(SILENCE_S)

    def _handle(self, *_: object) -> None:
        self.outcome.heard_s.append(time.monotonic() - self._sent)
        self._action()

    def _give_up(self) -> None:
        print("hangs", self.outcome, flush=True)
        os._exit(3)


def run(loop: Loop, make: Callable[[], Any], signals: Signals, *, first: bool = False) -> Outcome:
    """Make a dataset, install the handlers, and run the loop; `first`: the handlers first."""
    former = {number: signal.getsignal(number) for number in signals.numbers}
    try:
        if first:
            signals.install()
        dataset = make()
        if not first:
            signals.install()
        return signals.ended(loop(dataset, signals))
    except BaseException as error:
        return signals.ended(type(error).__name__)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def take(dataset: Any, signals: Signals) -> int:
    """A Python loop; it returns the number of elements at the end, or after one more than all."""
    count = 0
    for _ in dataset:
        count += 1
        if count == RECORDS:
            signals.send()
        if count > RECORDS:
            break
    return count


def take_and_set(dataset: Any, signals: Signals) -> int:
    """The handlers are set during the iteration."""
    for count, _ in enumerate(dataset):
        if not count:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if count == RECORDS - 1:
            signals.install()
            signals.send()
    return -1


def take_in_thread(dataset: Any, signals: Signals) -> int:
    """The main thread does something else."""
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(take(dataset, signals)))
    thread.start()
    thread.join()
    return counts[0]


class _SendAfter(keras.callbacks.Callback):
    """Sends the signals when all records have been used."""

    def __init__(self, signals: Signals, batches: int):
        super().__init__()
        self._signals, self._batches = signals, batches
        self.seen = 0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.seen += 1
        self._signals.progress += 1
        if self.seen == self._batches:
            self._signals.send()

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


@cache
def model() -> keras.Model:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def fit(dataset: Any, signals: Signals, batches: int = 2, **options: Any) -> int:
    sender = _SendAfter(signals, batches)
    callbacks = [sender, *options.pop("callbacks", [])]
    model().fit(dataset, callbacks=callbacks, verbose=0, shuffle=False, **options)
    return sender.seen


def evaluate(dataset: Any, signals: Signals) -> int:
    sender = _SendAfter(signals, 2)
    model().evaluate(dataset, callbacks=[sender], verbose=0)
    return sender.seen


def predict(dataset: Any, signals: Signals) -> int:
    sender = _SendAfter(signals, 2)
    return len(model().predict(dataset, callbacks=[sender], verbose=0)) // 2


def fit_from_asyncio(dataset: Any, signals: Signals) -> int:
    """Other code owns the wake-up descriptor, and is woken by it after `fit`."""
    heard = []

    async def main() -> int:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.append, "heard")
        count = fit(dataset, signals)
        while not heard:
            await asyncio.sleep(0.01)
        return count

    return asyncio.run(main())


def fit_and_commit(dataset: Any, signals: Signals) -> int:
    return fit(dataset, signals, callbacks=[CommitCallback(dataset)])


def fit_until_next(dataset: Any, signals: Signals) -> int:
    """`fit` takes a batch more after the signals, and stops."""
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: dataset.stop() if batch == 2 else None
    )
    return fit(dataset, signals, callbacks=[stop])


def raises() -> None:
    raise UsersError


def returns() -> None:
    pass


def _same(*columns: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return columns


class Cases:
    """The cases, and where their records are."""

    def __init__(self, servers: str, topics: list[str], group: str):
        self._servers, self._topics, self._group = servers, iter(topics), group
        self._numbers = itertools.count()
        self.admin = Admin(servers)
        self.topic = ""
        self.group = ""

    def records(self) -> str:
        """Return a topic that nobody else writes to."""
        self.topic = next(self._topics)
        write(self._servers, self.topic, ROWS, ["1"] * RECORDS)
        return self.topic

    def stream(self, **options: Any) -> KafkaGroupDataset:
        self.group = f"{self._group}-{next(self._numbers)}"
        self.last = KafkaGroupDataset(
            self.topic, self.group, self._servers, -1, EARLIEST, **options
        )
        return self.last

    def term(
        self, action: Callable[[], object], then: Callable[[], object] = lambda: None
    ) -> Signals:
        return Signals([signal.SIGTERM], action, then)

    def stop(self) -> None:
        self.last.stop()

    def zipped(self) -> Any:
        return tf.data.Dataset.zip((self.stream(), tf.data.Dataset.range(2 * RECORDS)))

    def zipped_rows(self) -> Any:
        return tf.data.Dataset.zip((self.rows(),)).map(lambda row: row)

    def rows(self, **options: Any) -> KafkaGroupDataset:
        return self.stream(decode=CsvDecoder(2, "key"), batch_size=2, **options)

    def minis(self) -> KafkaMiniBatchDataset:
        self.group = f"{self._group}-{next(self._numbers)}"
        return KafkaMiniBatchDataset(
            self.topic,
            self.group,
            self._servers,
            -1,
            EARLIEST,
            records=1,
            decode=CsvDecoder(2, "key"),
        )

    def one_more(self, count: int = 1) -> None:
        write(self._servers, self.topic, ["3,4"] * count, ["1"] * count)

    def wait_until_left(self) -> None:
        """Wait until the last stream's group is left.

        On a busy machine a loop that a signal ends does not wait for that.
        """
        groups.wait_until_left(self.admin, self.group)


def python_loops(servers: str, topics: list[str], group: str) -> dict[str, Outcome]:
    """Loops in Python, over the dataset and over datasets made of it."""
    cases = Cases(servers, topics, group)
    outcomes = {}
    cases.records()
    outcomes["dataset, SIGTERM, raises"] = run(take, cases.stream, cases.term(raises))
    cases.wait_until_left()
    outcomes["dataset, SIGHUP, raises"] = run(take, cases.stream, Signals([signal.SIGHUP], raises))
    for name, pipeline in {
        "dataset": cases.stream,
        "batch": lambda: cases.stream().batch(1),
        "map, prefetch": lambda: cases.stream().map(_same).prefetch(2),
        "mini datasets": cases.minis,
    }.items():
        cases.records()
        outcomes[f"{name}, Ctrl-C"] = run(take, pipeline, Signals([signal.SIGINT], None))
        cases.wait_until_left()
        outcomes[f"{name}, returns"] = run(take, pipeline, cases.term(returns, cases.one_more))
    cases.records()
    outcomes["zip, raises"] = run(take, cases.zipped, cases.term(raises), first=True)
    outcomes["zip, returns"] = run(take, cases.zipped, cases.term(returns))
    outcomes["stop"] = run(take, cases.stream, cases.term(cases.stop))
    outcomes["set while it is silent"] = run(
        take_and_set, cases.stream, Signals([signal.SIGHUP], raises)
    )
    others = [signal.SIGWINCH, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1]
    outcomes["others"] = run(
        take, lambda: cases.stream().batch(1), Signals(others, returns, cases.one_more)
    )
    cases.records()
    outcomes["another thread"] = run(
        take_in_thread, cases.stream, cases.term(returns, cases.one_more)
    )
    return outcomes


def keras_loops(servers: str, topics: list[str], group: str) -> dict[str, Outcome]:
    """`fit`, `evaluate` and `predict`."""
    cases = Cases(servers, topics, group)
    cases.records()
    outcomes = {}
    for loop in (fit, evaluate, predict):
        name = loop.__name__
        outcomes[f"{name}, Ctrl-C"] = run(loop, cases.rows, Signals([signal.SIGINT], None))
        cases.wait_until_left()
        outcomes[f"{name}, raises"] = run(loop, lambda: cases.rows().map(_same), cases.term(raises))
        outcomes[f"{name}, returns"] = run(loop, cases.rows, Signals([signal.SIGHUP], returns))
    outcomes["fit, stop"] = run(fit, cases.rows, cases.term(cases.stop))
    outcomes["fit, mini datasets"] = run(
        fit, lambda: cases.minis().flat_map(lambda each: each).batch(2), cases.term(returns)
    )
    outcomes["fit, zip, Ctrl-C"] = run(
        fit, cases.zipped_rows, Signals([signal.SIGINT], None), first=True
    )
    outcomes["fit, asyncio"] = run(fit_from_asyncio, cases.rows, cases.term(returns))
    outcomes["fit, CommitCallback"] = run(
        fit_and_commit, lambda: cases.rows(auto_commit=False), cases.term(returns)
    )
    cases.wait_until_left()
    committed = [row.committed for row in cases.admin.describe_group(cases.group)]
    outcomes["fit, CommitCallback, committed"] = Outcome(committed)
    # Nothing but the last signal ends it.
    goes_on = Signals([signal.SIGWINCH, signal.SIGCHLD], returns, lambda: cases.one_more(2))
    outcomes["fit, others"] = run(fit_until_next, cases.rows, goes_on)
    return outcomes


def frozen_broker(servers: str, topic: str, group: str, pid: int) -> dict[str, Outcome]:
    """Streams whose broker is frozen; `pid` is the broker's process."""
    outcomes = {}

    def looped(dataset: Any, signals: Signals) -> int:
        for _ in dataset:
            signals.progress += 1
            if signals.progress == 1:
                os.kill(pid, signal.SIGSTOP)
                signals.send()
        return -1

    def bounded() -> KafkaDataset:
        return KafkaDataset(topic, servers=servers, prefetch_bytes=1 << 20, batch_size=100)

    def grouped() -> KafkaGroupDataset:
        limits = {"prefetch_bytes": 1 << 20, "batch_size": 100}
        return KafkaGroupDataset(topic, group, servers, -1, EARLIEST, **limits)

    def minis() -> KafkaMiniBatchDataset:
        return KafkaMiniBatchDataset(
            topic, f"{group}-mini", servers, -1, EARLIEST, records=100, prefetch_bytes=1 << 20
        )

    def fitted(dataset: Any, signals: Signals) -> bool:
        rows = dataset.map(lambda *_: (tf.zeros((100, 2)), tf.zeros(100)))
        freeze = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: batch or os.kill(pid, signal.SIGSTOP)
        )
        return fit(rows, signals, 1, callbacks=[freeze]) > 0

    for name, loop, make, action in (
        ("bounded, for, raises", looped, bounded, raises),
        ("bounded, fit, raises", fitted, bounded, raises),
        ("bounded, fit, returns", fitted, bounded, returns),
        ("group, for, raises", looped, grouped, raises),
        ("group, fit, raises", fitted, grouped, raises),
        ("group, fit, returns", fitted, grouped, returns),
        ("mini datasets, for, raises", looped, minis, raises),
    ):
        outcomes[name] = run(loop, make, Signals([signal.SIGTERM], action))
        os.kill(pid, signal.SIGCONT)
    return outcomes
