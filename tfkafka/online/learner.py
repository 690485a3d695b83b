"""Online learning that survives kill -9: model, optimizer and next offsets are saved together.

The offset ranges of a mini dataset are written to the disk before it is trained on, and the state
after it. So a process that was killed trains on the same records again, from the same state and
with the same random numbers: the weights are those of a run that was never killed, bit by bit.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange, TopicPartition, concat
from tfkafka.client.reports import OffsetReport
from tfkafka.config import BROKER_TIMEOUT_MS, FOREVER, Limits
from tfkafka.decoding.bad_records import Counts, Policy, check_policy
from tfkafka.decoding.base import (
    Arrays,
    Decoder,
    check_decoder,
    decode_checked,
    needs_headers,
    only_finite,
)
from tfkafka.errors import CheckpointError
from tfkafka.metrics.meter import Meter
from tfkafka.metrics.metrics import Metrics
from tfkafka.online.checkpoints import Checkpoint, Series, load, locked, save
from tfkafka.online.exports import ExportIf, Exports
from tfkafka.online.history import Evaluate, History, evaluate_with, shown
from tfkafka.online.planner import TopicEnds, next_plan
from tfkafka.online.tensorflow_threads import TENSORFLOW
from tfkafka.reading.dead_letters import bad_records_policy
from tfkafka.reading.lag import Lag
from tfkafka.reading.manifest import Manifest, describe_decoder
from tfkafka.reading.ranges import TopicRanges, identify, read
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.starts import ON_MISSING_OFFSETS, OnMissingOffsets

HISTORY = "history.jsonl"
KEPT = 3
KEPT_EXPORTS = 10
EXPORT_S = 60.0
# What NumPy takes.
LARGEST_SEED = 2**32 - 1

# Called with the model, the features and the labels, and with sample weights where there are any.
Train = (
    Callable[[keras.Model, NDArray[Any], NDArray[Any]], None]
    | Callable[[keras.Model, Mapping[str, NDArray[Any]], NDArray[Any]], None]
    | Callable[[keras.Model, NDArray[Any], NDArray[Any], NDArray[Any]], None]
    | Callable[[keras.Model, Mapping[str, NDArray[Any]], NDArray[Any], NDArray[Any]], None]
)


@dataclass(frozen=True)
class Stream:
    """The stream to learn from.

    Args:
        topic: the topic; all its partitions are read from their beginnings.
        decode: a decoder that returns features and labels. One that leaves `finite` open, for
            example a `CsvDecoder`, refuses values that are not finite.
        servers: `HOST:PORT[,HOST:PORT]`; None: as in configuration, or else localhost:9092.
        mini_dataset: maximum number of offsets in a mini dataset.
        stream_timeout: ms without a new record after which learning ends; -1: never.
        configuration: librdkafka's settings.
        group_id: a group whose offsets are set after each save, for monitoring. They are never
            read, and the group must have no members. None: no progress is reported.
        on_bad_record: "error", "skip" or "dead_letter": what to do if decode fails on a record.
        dead_letter_topic: the topic that bad records are written to.
        on_missing_offsets: "error", or "earliest": what to do where planned records were deleted
            before they were read; "earliest" continues with those that are there.
        broker_timeout: ms without an answer from a broker after which learning fails.

    Example:
        from tfkafka.online import Stream

        stream = Stream(
            "susy-train", tfkafka.CsvDecoder(18, label="key"), "localhost:9092", stream_timeout=0
        )
    """

    topic: str
    decode: Decoder
    servers: str | Sequence[str] | None = None
    mini_dataset: int = 10_000
    stream_timeout: int = FOREVER
    configuration: config.Configuration = None
    group_id: str | None = None
    on_bad_record: Policy = "error"
    dead_letter_topic: str | None = None
    on_missing_offsets: OnMissingOffsets = "error"
    broker_timeout: int = BROKER_TIMEOUT_MS

    def __post_init__(self) -> None:
        arguments.text("topic", self.topic)
        check_decoder(self.decode)
        if len(self.decode.element_spec) < 2:
            raise ValueError('decode has no label: give CsvDecoder(..., label="key")')
        # As an int, which a checkpoint can hold, also where it was one of NumPy's.
        records = arguments.whole_number("mini_dataset", self.mini_dataset, 1)
        object.__setattr__(self, "mini_dataset", records)
        arguments.stream_timeout("stream_timeout", self.stream_timeout)
        # Masked where the stream is printed.
        object.__setattr__(self, "configuration", config.parse(self.configuration))
        reader_settings(self.servers, self.configuration)
        arguments.optional(arguments.text, "group_id", self.group_id)
        check_policy(self.on_bad_record, self.dead_letter_topic, [self.topic])
        arguments.choice("on_missing_offsets", self.on_missing_offsets, ON_MISSING_OFFSETS)
        Limits(broker_timeout=self.broker_timeout)


@dataclass
class Progress:
    """The progress of learning.

    Attributes:
        mini_datasets: the number of mini datasets trained on so far, by all processes together.
        records: the number of records in them.
        positions: the next offset of each partition.
        counts: the records that were read so far, by all processes together.
        history: for each metric a list with one number for each mini dataset, by all processes
            together: what the model was worth on it before it was trained on it. nan where the
            mini dataset had no records, or the metric did not exist yet.
        training_s, saving_s: seconds that this process spent on training and on saving.

    Example:
        progress = learn("state", stream, build, train, seed=7)  # see learn
        print(progress.records, "records in", progress.mini_datasets, "mini datasets")
    """

    mini_datasets: int = 0
    records: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    history: dict[str, list[float]] = field(default_factory=dict)
    training_s: float = 0.0
    saving_s: float = 0.0


def learn(
    folder: Path | str,
    stream: Stream,
    build: Callable[[], keras.Model],
    train: Train,
    *,
    seed: int,
    evaluate: Evaluate | None = None,
    keep: int = KEPT,
    export_s: float = EXPORT_S,
    export_if: ExportIf | None = None,
    keep_exports: int = KEPT_EXPORTS,
    notify: Callable[[str], None] = print,
    metrics_port: int | str | None = None,
) -> Progress:
    """Train on a stream, mini dataset by mini dataset, and continue where the last process ended.

    TensorFlow's op determinism is turned on. Before each mini dataset the random state of Python,
    NumPy and TensorFlow is set from `seed` and the mini dataset's number. Seed generators inside
    the model (Keras' own layers have them) are saved with the weights. With the same machine and
    the same versions the weights are the same, bit by bit, wherever processes were killed.

    Each mini dataset is evaluated before it is trained on, so its records are new to the model. The
    metrics are in `history`, in the line about the mini dataset, and in `history.jsonl`, a line of
    JSON for each mini dataset.

    `exports` in the folder has the exported models, `model-NUMBER-DIGEST.keras`: the number of mini
    datasets that the model was trained on, and 12 digits of its weights' sha256. Each appears in
    one step, with a manifest beside it that says which records made it: see
    `KafkaDataset.from_manifest`. `exactly_once.ExportedModels` predicts with the newest one.
    `model.keras` and `model.manifest.json` in the folder are copies of the newest ones.

    Returns at the end of the stream, or on SIGTERM (in the main thread) after the current mini
    dataset, with everything saved.

    Args:
        folder: the folder for the state, the plans, the history and the exported models.
        stream: the stream to train on.
        build: returns the compiled model; called once.
        train: called with the model and the decoder's arrays of a mini dataset: features, labels
            and, where it has them, sample weights, [n, ...] each. The partitions follow one
            another, each in its order: shuffle them.
        seed: the seed of all random numbers.
        evaluate: called as `train` is, before it, and returns numbers by their names. It must not
            change the model. None: `model.evaluate`; a model without a loss then has no metrics.
        keep: the number of saved states to keep, at least 1; the older ones are used where the
            newest is damaged.
        export_s: seconds between two exports; the end exports too, and a process that continues.
        export_if: called with the metrics of a model on the mini dataset that follows those that it
            was trained on; False: it is not exported, and the next one is judged. A model is then
            exported when the next mini dataset has judged it, and the last one not at the end.
            None: each is exported when it is trained.
        keep_exports: the number of exported models to keep, at least 1.
        notify: called with a line about each mini dataset, each damaged file, and each model that
            is not exported.
        metrics_port: a port of 127.0.0.1, or `HOST:PORT`, where Prometheus reads metrics at
            `/metrics` and a monitor the health at `/healthz` until learning ends; 0: a free port,
            which is passed to `notify`; None: nothing is counted.

    Raises:
        CheckpointError: another process learns in this folder; the folder belongs to another
            topic, mini_dataset, seed or model; all states are damaged; the disk is full; or a mini
            dataset made weights or optimizer variables that are not finite. What was saved remains
            valid. In the last case the same call trains on the same mini dataset again.
        TopicError: there is no such topic or dead letter topic, or the topic was created again
            since the folder was created.
        OffsetError, ReadError: see `reading.ranges`.
        BadRecordError, WriteError: see `decoding.bad_records`.
        MetricsError: `metrics_port` is in use, or prometheus-client is not installed.
        ForkError: TensorFlow was used before this process was forked.
        TypeError, ValueError: an argument is wrong; or the mini dataset cannot be evaluated; or
            there is `export_if`, and the model has no metrics.

    Example:
        from tfkafka.online import learn

        def build():
            model = keras.Sequential([keras.layers.Input([18]), keras.layers.Dense(1, "sigmoid")])
            model.compile("adam", "binary_crossentropy")
            return model

        def train(model, features, labels):
            model.fit(features, labels, batch_size=64, verbose=0)

        learn("state", stream, build, train, seed=7)  # stream: see Stream
    """
    folder = arguments.path("folder", folder)
    arguments.instance("stream", stream, Stream, "a Stream")
    for name, function in (("build", build), ("train", train), ("notify", notify)):
        arguments.function(name, function)
    arguments.optional(arguments.function, "evaluate", evaluate)
    seed = arguments.whole_number("seed", seed, 0, LARGEST_SEED)
    keep = arguments.whole_number("keep", keep, 1)
    export_s = arguments.seconds("export_s", export_s, math.inf)
    arguments.optional(arguments.function, "export_if", export_if)
    keep_exports = arguments.whole_number("keep_exports", keep_exports, 1)
    TENSORFLOW.refuse("learn")
    metrics = Metrics(metrics_port)
    meter = metrics.meter
    tf.config.experimental.enable_op_determinism()
    with locked(folder), _sigterm() as is_stopped, closing(metrics):
        metrics.open()
        if metrics.port is not None:
            notify(f"metrics: port {metrics.port}, /metrics and /healthz")
        exports = Exports(folder, keep_exports, export_s, export_if, notify)
        learner = _Learner(
            folder, stream, build, train, evaluate, exports, seed, keep, notify, meter
        )
        meter.observe(learner)
        while True:
            with meter.stage("wait"):
                plan = learner.plan(is_stopped)
            if plan is None:
                break
            learner.train_on(learner.read(plan))
            meter.progressed()
        learner.end()
        return learner.progress


@dataclass(frozen=True)
class _MiniDataset:
    """The arrays of planned records; `bad` says which of them could not be decoded, or is ""."""

    plan: list[OffsetRange]
    arrays: tuple[Arrays, ...]
    bad: str

    @property
    def records(self) -> int:
        return len(self.arrays[1])


class _Learner:
    """The model and its progress, in memory and in the folder."""

    def __init__(
        self,
        folder: Path,
        stream: Stream,
        build: Callable[[], keras.Model],
        train: Train,
        evaluate: Evaluate | None,
        exports: Exports,
        seed: int,
        keep: int,
        notify: Callable[[str], None],
        meter: Meter,
    ):
        self._folder, self._stream = folder, stream
        self._train: Callable[..., None] = train
        self._evaluate, self._history = evaluate, History(folder / HISTORY)
        self._exports = exports
        self._seed, self._keep, self._notify, self._meter = seed, keep, notify, meter
        self._states, self._plans = Series(folder, "state"), Series(folder, "plan")
        self._settings = config.consumer_settings(stream.servers, stream.configuration)
        self._limits = Limits(broker_timeout=stream.broker_timeout)
        self._decode = only_finite(stream.decode)
        self._bad_records = bad_records_policy(
            stream.on_bad_record,
            stream.dead_letter_topic,
            self._settings,
            self._limits,
            [stream.topic],
        )
        self._bad_records.total = meter.counts
        self._topic = identify(self._settings, self._limits, stream.topic)
        self._ends = TopicEnds(self._settings, self._topic, stream.broker_timeout, meter)
        self._lag = Lag(self._ends.end_offsets, self._next_offsets)
        self._report = None
        if stream.group_id is not None:
            self._report = OffsetReport(self._settings, stream.group_id, stream.topic)
        keras.utils.set_random_seed(seed)
        self._model = build()
        self._model.optimizer.build(self._model.trainable_variables)
        self.progress = Progress(counts=self._bad_records.counts, history=self._history.columns)
        # The leaders' epochs of the records before the positions.
        self._epochs: dict[int, int | None] = {}
        found = self._states.newest(notify)
        if found is None:
            exports.refuse_others()
            self._begins = self._ends.begins()
            self.progress.positions = dict(self._begins)
            self._refuse_not_finite("build made", "")
            self._save()
        else:
            self._restore(*found)
            meter.count("restarts")
            state = self._states.path(self.progress.mini_datasets).name
            self._refuse_not_finite(f"{state} has", ": delete it to use the state before")
        self._history.restore(self.progress.mini_datasets)
        if self.progress.mini_datasets and not exports.is_judged:
            # The process before may have been killed after it had saved the model.
            self._export()

    def plan(self, is_stopped: Callable[[], bool]) -> list[OffsetRange] | None:
        """Return the ranges of the next mini dataset; None at the end.

        A plan that was saved before a crash is used again.
        """
        path = self._plans.path(self.progress.mini_datasets + 1)
        if is_stopped():
            return None
        if path.exists():
            try:
                return [OffsetRange(*row) for row in load(path).header["ranges"]]
            except CheckpointError as error:
                self._notify(f"{error}: planned again")
        stream = self._stream
        ranges = next_plan(
            self._ends,
            self.progress.positions,
            stream.mini_dataset,
            stream.stream_timeout,
            is_stopped,
        )
        if ranges is not None:
            save(path, {"ranges": [astuple(each) for each in ranges]}, {})
        return ranges

    def read(self, plan: list[OffsetRange]) -> _MiniDataset:
        """Return the planned records, always in the same order."""
        self._meter.count("batches")
        metadata = self._stream.dead_letter_topic is not None or needs_headers(self._decode)
        chosen = TopicRanges(self._topic, tuple(self._still_there(plan)))
        positions = self.progress.positions
        epochs = {
            each.source: self._epochs.get(each.partition)
            for each in chosen.ranges
            if each.start == positions.get(each.partition)
        }
        reading = read(chosen, self._settings, self._limits, metadata=metadata, epochs=epochs)
        with self._meter.stage("read"):
            chunk = concat(list(reading))
        chunk = chunk.select(np.argsort(chunk.partitions, kind="stable"))
        with self._meter.stage("decode"):
            decoded = decode_checked(self._decode, chunk)
        self._bad_records.handle(chunk, decoded.faults, decoded.absent)
        mine = Counts()
        mine.add(len(chunk), decoded.faults, self._bad_records.policy)
        return _MiniDataset(plan, decoded.arrays, mine.summary())

    def train_on(self, mini: _MiniDataset) -> None:
        """Evaluate on a mini dataset, then train on it; save and export the state.

        A model that must be judged is exported between the two.
        """
        metrics = self._evaluated(mini)
        is_candidate = metrics and self._exports.is_judged and self._exports.is_due()
        if is_candidate and self._exports.accepts(self.progress.mini_datasets, metrics):
            self._export()
        self._learn(mini, metrics)
        if not self._exports.is_judged and self._exports.is_due():
            self._export()

    def _evaluated(self, mini: _MiniDataset) -> dict[str, float]:
        """Return what the model is worth on a mini dataset; {} where that has no records."""
        if not mini.records:
            return {}
        with self._meter.stage("model"):
            metrics = evaluate_with(self._evaluate, self._model, mini.arrays)
        if not metrics and self._exports.is_judged:
            raise ValueError(
                "export_if: the model has no metrics: compile it with a loss, or give evaluate="
            )
        return metrics

    def _learn(self, mini: _MiniDataset, metrics: Mapping[str, float]) -> None:
        """Train on a mini dataset, and save the state, and the metrics from before."""
        progress, plan, records = self.progress, mini.plan, mini.records
        begun = time.monotonic()
        mixed = np.random.SeedSequence([self._seed, progress.mini_datasets + 1])
        keras.utils.set_random_seed(int(mixed.generate_state(1)[0]))
        if records:
            with self._meter.stage("model"):
                self._train(self._model, *mini.arrays)
        progress.training_s += time.monotonic() - begun
        last_good = self._states.path(progress.mini_datasets).name
        self._refuse_not_finite(
            f"mini dataset {progress.mini_datasets + 1:,} ({'; '.join(map(str, plan))}) made",
            f": not saved; the last good state is {last_good}. The same call trains on these "
            f"records again: let train clip gradients or lower the learning rate",
        )
        progress.mini_datasets += 1
        progress.records += records
        progress.positions |= {each.partition: each.stop for each in plan}
        self._epochs |= {each.partition: each.leader_epoch for each in plan}
        self._history.add(progress.mini_datasets, records, metrics)
        with self._meter.stage("save"):
            self._save()
        self._meter.count("commits")
        before = f"; before training {shown(metrics)}" if metrics else ""
        self._notify(
            f"mini dataset {progress.mini_datasets:,}: {records:,} records, "
            f"{progress.records:,} in all{before}{mini.bad and f'; {mini.bad}'}"
        )

    def lag(self) -> Mapping[TopicPartition, int] | None:
        """Return how many offsets of each partition are not learnt yet; None: unknown."""
        return self._lag.ask()

    def trouble(self) -> str | None:
        """Return that Kafka does not answer, or None."""
        return self._ends.trouble()

    def _next_offsets(self) -> dict[TopicPartition, int]:
        positions = dict(self.progress.positions)
        return {TopicPartition(self._stream.topic, p): offset for p, offset in positions.items()}

    def end(self) -> None:
        """Export, and notify of bad records; wait for the answer to the last report of progress."""
        if self._exports.is_judged:
            self._notify(
                f"the model of {self.progress.mini_datasets:,} mini datasets is not exported yet: "
                f"the next one judges it"
            )
        else:
            self._export()
        if summary := self.progress.counts.summary():
            self._notify(f"topic {self._stream.topic}: {summary}")
        refused = self._report and self._report.refusal()
        if refused:
            self._notify(
                f"progress could not be reported to group {self._stream.group_id}: {refused}"
            )

    def _export(self) -> None:
        self._exports.write(self._model, self.progress.mini_datasets, self._manifest())

    def _still_there(self, plan: list[OffsetRange]) -> list[OffsetRange]:
        """Return the plan without records that are gone, where the stream allows that."""
        if self._stream.on_missing_offsets == "error":
            return plan
        first = self._ends.begins()
        left = [each.since(first[each.partition]) for each in plan]
        if gone := sum(map(len, plan)) - sum(map(len, left)):
            self._bad_records.counts.missing += gone
            self._notify(
                f"topic {self._topic.topic}: {gone:,} records were deleted before they "
                f"were read; continuing at the first that is there"
            )
        return left

    def _save(self) -> None:
        begun = time.monotonic()
        progress = self.progress
        header = {
            **self._identity(),
            "records": progress.records,
            "positions": list(progress.positions.items()),
            "manifest": self._manifest().to_json(),
            "reasons": progress.counts.reasons,
        }
        arrays = {f"{i:05}": variable.numpy() for i, variable in enumerate(self._variables())}
        save(self._states.path(progress.mini_datasets), header, arrays)
        self._states.forget_before(progress.mini_datasets - self._keep + 1)
        self._plans.forget_before(min(self._states.numbers()) + 1)
        progress.saving_s += time.monotonic() - begun
        if self._report is not None:
            self._report.send(progress.positions)

    def _refuse_not_finite(self, what: str, advice: str) -> None:
        """Raise CheckpointError where the model could never learn again."""
        variables = [*self._model.weights, *self._model.optimizer.variables]
        wrong = [each for each in variables if not np.isfinite(each.numpy()).all()]
        if wrong:
            raise CheckpointError(
                f"{self._folder}: {what} {len(wrong)} of {len(variables)} weights and optimizer "
                f"variables not finite, the first is {wrong[0].path}{advice}"
            )

    def _restore(self, number: int, state: Checkpoint) -> None:
        for name, value in self._identity().items():
            if (begun := state.header[name]) != value:
                raise CheckpointError(
                    f"{self._folder}: was begun with {name} {begun!s:.60}, and this is "
                    f"{value!s:.60}: give the same, or another folder"
                )
        for variable, value in zip(self._variables(), state.arrays.values(), strict=True):
            # NumPy's files keep the bits of bfloat16, but not the name of the dtype.
            bits = value.dtype.kind == "V"
            variable.assign(value.view(variable.numpy().dtype) if bits else value)
        self.progress.mini_datasets = number
        self.progress.records = state.header["records"]
        self.progress.positions = dict(map(tuple, state.header["positions"]))
        manifest = Manifest.of(state.header["manifest"])
        manifest.refuse_another_topic(self._topic)
        self._begins = {each.partition: each.start for each in manifest.ranges}
        self._epochs = {each.partition: each.leader_epoch for each in manifest.ranges}
        if manifest.counts is not None:
            reasons = state.header.get("reasons", {})
            self._bad_records.counts = Counts(**manifest.counts, reasons=reasons)
            self.progress.counts = self._bad_records.counts

    def _manifest(self) -> Manifest:
        """Return the manifest of the records that the model was trained on so far."""
        return Manifest(
            servers=str(self._settings["bootstrap.servers"]),
            identity=self._topic,
            ranges=tuple(
                OffsetRange(
                    self._topic.topic,
                    partition,
                    self._begins.get(partition, 0),
                    stop,
                    self._epochs.get(partition),
                )
                for partition, stop in self.progress.positions.items()
            ),
            order=None,
            isolation_level=config.isolation_level(self._settings),
            on_bad_record=self._bad_records.policy,
            decoder=describe_decoder(self._decode),
            counts=self.progress.counts.numbers(),
        )

    def _variables(self) -> list[keras.Variable]:
        """Return the weights, the seed generators' states and the optimizer's variables."""
        return [*self._model.variables, *self._model.optimizer.variables]

    def _identity(self) -> Mapping[str, object]:
        """Return what must not change between processes."""
        shapes = [f"{v.dtype}{list(v.shape)}" for v in self._variables()]
        return {
            "topic": self._stream.topic,
            "mini_dataset": self._stream.mini_dataset,
            "seed": self._seed,
            "model": " ".join(shapes),
        }


@contextmanager
def _sigterm() -> Iterator[Callable[[], bool]]:
    """Defer SIGTERM; yield a function that returns whether it has arrived."""
    noted = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    former = signal.signal(signal.SIGTERM, lambda number, _frame: noted.append(number))
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGTERM, former)
