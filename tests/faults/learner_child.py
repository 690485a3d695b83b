"""A process that learns online, and is killed -9 where its test says so.

All of them are forks of one server that has imported TensorFlow, which takes far longer than they
live.
"""

from __future__ import annotations

import os
import random
import resource
import signal
from collections import Counter
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from tfkafka.testing import wait_for

COLUMNS = 4
BATCH_SIZE = 16
SEED = 7
DEADLINE_S = 120.0

_context = get_context("forkserver")
_context.set_forkserver_preload(["tensorflow", "keras", "tfkafka.online", "tfkafka.exactly_once"])


@dataclass(frozen=True)
class Options:
    """What a learner is to do.

    Attributes:
        signal_at: (point, n): it sends itself `signal` when it comes to this point for the n-th
            time; points are "before plan", "behind plan", "batch", "before state",
            "before rename", "behind rename", "behind state", and "any" of these.
        full_from: the mini dataset from which on a file can have no more than 2,000 bytes.
        hold_at: the mini dataset that waits, read and not trained on, until its test lets it go.
    """

    servers: str
    topic: str
    folder: Path
    group: str | None = None
    signal_at: tuple[str, int] | None = None
    signal: signal.Signals = signal.SIGKILL
    full_from: int | None = None
    hold_at: int | None = None
    mini_dataset: int = 200
    stream_timeout: int = 1000
    export_s: float = 60.0
    keep_exports: int = 10

    def but(self, **changes) -> Options:
        return replace(self, **changes)


def context():
    """Where processes are forks of the server."""
    return _context


def start(options: Options):
    """The process, started; what it says is in its folder's `said`."""
    process = _context.Process(target=_learn, args=(options,), daemon=True)
    process.start()
    return process


def run(options: Options) -> int:
    """Its exit status, negative for a signal's number."""
    return end(start(options))


def end(process) -> int:
    process.join(DEADLINE_S)
    assert process.exitcode is not None, f"a learner did not end within {DEADLINE_S:.0f} s"
    return process.exitcode


def said(options: Options) -> str:
    path = options.folder / "said"
    return path.read_text() if path.exists() else ""


def wait_until_held(options: Options) -> None:
    wait_for((options.folder / "held").exists, "a learner to come where it is held", DEADLINE_S)


def let_go(options: Options) -> None:
    (options.folder / "go").touch()


def load_again_and_again(path: Path, begun, done) -> None:
    """Load a saved model and use it until told that it is enough, and once more after that."""
    import keras
    import numpy as np

    enough = False
    while not enough:
        enough = done.is_set()
        model = keras.models.load_model(path)
        assert model.predict(np.zeros((1, COLUMNS), np.float32), verbose=0).shape == (1, 1)
        begun.set()


def start_reader(path: Path):
    """A process that loads a model, now for the second time, and the event that tells it to end."""
    begun, done = _context.Event(), _context.Event()
    process = _context.Process(target=load_again_and_again, args=(path, begun, done), daemon=True)
    process.start()
    assert begun.wait(DEADLINE_S), "the model was not loaded"
    return process, done


class _Points:
    """Where this process may send itself a signal."""

    def __init__(self, options: Options):
        self._options = options
        self._passed: Counter[str] = Counter()

    def pass_by(self, point: str) -> None:
        self._passed.update([point, "any"])
        name, count = self._options.signal_at or ("", 1)
        if name in (point, "any") and self._passed[name] == count:
            os.kill(os.getpid(), self._options.signal)


def _learn(options: Options) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow as tf

    from tfkafka import CsvDecoder, online
    from tfkafka.client import reports
    from tfkafka.errors import TfkafkaError

    # The learner's own is short, since nobody goes by a report; a slow machine may need longer.
    reports.REPORT_TIMEOUT_MS = int(1000 * DEADLINE_S)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    points = _Points(options)
    _mark(points)

    def notify(line: str) -> None:
        with (options.folder / "said").open("a") as file:
            file.write(line + "\n")

    stream = online.Stream(
        options.topic,
        CsvDecoder(COLUMNS, label="key"),
        options.servers,
        mini_dataset=options.mini_dataset,
        stream_timeout=options.stream_timeout,
        group_id=options.group,
    )
    train = _train(points, options)
    try:
        online.learn(
            options.folder / "learner",
            stream,
            _build,
            train,
            seed=SEED,
            notify=notify,
            export_s=options.export_s,
            keep_exports=options.keep_exports,
        )
    except TfkafkaError as error:
        notify(f"error: {error}")
        raise SystemExit(1) from None


def _build():
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((COLUMNS,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    return model


def _train(points: _Points, options: Options):
    import keras
    import numpy as np
    import tensorflow as tf

    marker = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: points.pass_by("batch")
    )
    trained = []

    def train(model, features, labels) -> None:
        if options.hold_at == len(trained) + 1:
            (options.folder / "held").touch()
            wait_for((options.folder / "go").exists, "its test to let it go", DEADLINE_S)
        # All three sources of random numbers that a user's own code may draw from.
        order = np.random.permutation(len(features))
        noise = random.random() * tf.random.normal(features.shape).numpy()
        features, labels = (features + 0.1 * noise)[order], labels[order]
        model.fit(features, labels, batch_size=BATCH_SIZE, verbose=0, callbacks=[marker])
        trained.append(len(features))
        if options.full_from == len(trained):
            # As a full disk does; Python has SIGXFSZ ignored.
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    return train


def _mark(points: _Points) -> None:
    """Put points around what brings plans and states to the disk."""
    from tfkafka.online import training as online

    save, rename = online.save, os.replace

    def marked_save(path, header, arrays) -> None:
        name = path.name.partition("-")[0]
        points.pass_by(f"before {name}")
        save(path, header, arrays)
        points.pass_by(f"behind {name}")

    def marked_rename(source, target) -> None:
        points.pass_by("before rename")
        rename(source, target)
        points.pass_by("behind rename")

    online.save, os.replace = marked_save, marked_rename
