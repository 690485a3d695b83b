"""Readers in processes of their own, which a chaos run kills and pauses.

All are forks of one server that has imported TensorFlow. Each records what it uses before it
commits that. After an error it notes the error, and begins again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tests.chaos.judging import LifeRecorder, decoder
from tests.chaos.plan import MOST_PARTITIONS
from tfkafka.errors import OffsetError, TfkafkaError
from tfkafka.testing import wait_for
from tfkafka.testing.checker import Kind, Recorder
from tfkafka.testing.checker.operations import find_files

# A learner's model counts in one of its weights how often it was trained on each number.
MOST_RECORDS = 1 << 20
# A larger one would wait for seconds until it is full, although nothing is wrong.
MINI_DATASET = 100
SEED = 7
# Membership and metadata as in a system that must notice within seconds. A cluster that loses its
# controller needs 7 s for another one and new leaders. A session of 6 s ends in the meantime, and
# the group then waits as long again until the former member's session ends at its new coordinator.
QUICK = {
    "auto.offset.reset": "earliest",
    "session.timeout.ms": 9000,
    "heartbeat.interval.ms": 1000,
    "topic.metadata.refresh.interval.ms": 2000,
}
ERRORS = "errors"
PAUSE_S = 0.2

context = get_context("forkserver")
context.set_forkserver_preload(["tensorflow", "keras", "tfkafka.data.groups", "tfkafka.online"])


@dataclass(frozen=True)
class Place:
    """What a reader reads, as whom, and the folder that it writes into.

    Attributes:
        newest: the highest number that it has used of each partition, in shared memory.
    """

    servers: str
    topic: str
    group: str
    folder: Path
    newest: Any = field(default_factory=lambda: context.Array("q", MOST_PARTITIONS))

    def used(self, partitions: np.ndarray, _offsets: np.ndarray, numbers: np.ndarray) -> None:
        for partition in np.unique(partitions).tolist():
            highest = int(numbers[partitions == partition].max())
            self.newest[partition] = max(highest, self.newest[partition])


def read_bounded(place: Place) -> None:
    """Read what is new as a bounded dataset, two epochs that must be equal, again and again."""
    import tfkafka

    def read() -> bool:
        partitions = [each.number for each in admin.describe_topic(place.topic).partitions]
        dataset = tfkafka.KafkaDataset(
            place.topic,
            partitions,
            start={number: following.get(number, 0) for number in partitions},
            servers=place.servers,
            decode=decoder(),
            metadata=True,
        )
        with _original_errors(dataset):
            epochs = [_columns(dataset.chunks()) for _ in range(2)]
        for first, second in zip(*epochs, strict=True):
            if not np.array_equal(first, second):
                raise AssertionError(f"two epochs differ: {dataset.ranges}")
        recorder.delivered(*epochs[0])
        place.used(*epochs[0])
        following.update({each.partition: each.stop for each in dataset.ranges})
        return sum(map(len, dataset.ranges)) > 0

    admin = tfkafka.Admin(place.servers)
    following = _used(place)
    with Recorder(place.folder, place.topic) as recorder:
        while True:
            wait_for(read, "a new record", 3600.0)
            # Each dataset has clients of its own: without a pause they would take half a core.
            time.sleep(PAUSE_S)


def _stream(place: Place, **more: Any) -> Any:
    """A group dataset that never ends, and commits on request."""
    import tfkafka

    return tfkafka.KafkaGroupDataset(
        place.topic,
        place.group,
        place.servers,
        stream_timeout=-1,
        configuration=QUICK,
        decode=decoder(),
        metadata=True,
        auto_commit=False,
        **more,
    )


def read_group(place: Place) -> None:
    """Read at least once: commit what was used after its use."""
    stream, used = _stream(place), 0
    with Recorder(place.folder, place.topic) as recorder, _original_errors(stream):
        for features, _, where in stream.chunks():
            columns = _places(features, where)
            recorder.delivered(*columns)
            used += len(features)
            stream.commit(used)
            place.used(*columns)


def read_mini_datasets(place: Place) -> None:
    import tfkafka

    stream = tfkafka.KafkaMiniBatchDataset(
        place.topic,
        place.group,
        place.servers,
        configuration=QUICK,
        records=MINI_DATASET,
        decode=decoder(),
        metadata=True,
    )
    with Recorder(place.folder, place.topic) as recorder, _original_errors(stream):
        for mini_dataset in stream:
            columns = _columns(mini_dataset.batch(MINI_DATASET))
            recorder.delivered(*columns)
            place.used(*columns)


def learn(place: Place) -> None:
    """Learn online; the model itself counts on which records it was trained."""
    import keras
    import tensorflow as tf

    from tfkafka import online

    tf.config.threading.set_intra_op_parallelism_threads(1)

    def build() -> keras.Model:
        tally = keras.layers.Embedding(MOST_RECORDS, 1, "zeros", trainable=False)
        model = keras.Sequential(
            [keras.layers.Input((1,), dtype="int32"), tally, keras.layers.Flatten()]
        )
        model.add(keras.layers.Dense(1, "sigmoid"))
        model.compile("sgd", "binary_crossentropy")
        return model

    def train(model: keras.Model, features, labels) -> None:
        numbers = features[:, 1].astype(np.int32)
        weights = model.layers[0].embeddings
        counts = weights.numpy()
        np.add.at(counts[:, 0], numbers, 1)
        weights.assign(counts)
        model.train_on_batch(numbers[:16, np.newaxis], labels[:16])
        # Of all partitions alike: it is not told which they are of.
        for partition in range(MOST_PARTITIONS):
            place.newest[partition] = max(int(numbers.max()), place.newest[partition])

    stream = online.Stream(
        place.topic, decoder(), place.servers, mini_dataset=MINI_DATASET, group_id=place.group
    )
    online.learn(
        place.folder / "learner",
        stream,
        build,
        train,
        # The model takes the numbers alone, which `train` makes of the features.
        evaluate=lambda *_: {},
        seed=SEED,
        notify=lambda _: None,
    )


def follow(place: Place) -> None:
    """Read a topic that may be created again, or lose records, and record each life."""
    lives = LifeRecorder(place.folder)
    on_missing = "error"
    while True:
        lives.begin()
        stream, used = _stream(place, on_missing_offsets=on_missing), 0
        try:
            with _original_errors(stream):
                for features, _, where in stream.chunks():
                    incarnations = features[:, 0].numpy().astype(int).tolist()
                    columns = _places(features, where)
                    places = (column.tolist() for column in columns[:2])
                    lives.use(list(zip(incarnations, *places, strict=True)), stream.counts.missing)
                    used += len(features)
                    stream.commit(used)
                    place.used(*columns)
        except TfkafkaError as error:
            lives.error(f"{type(error).__name__}: {error}")
            # Only the next life is allowed to go on without them, and must count them.
            on_missing = "earliest" if isinstance(error, OffsetError) else "error"
        _rest()


def after_brokers(pid: int) -> None:
    """Let the brokers go first: elections take 20 s where their processes wait for a core."""
    os.setpriority(os.PRIO_PROCESS, pid, 10)


def run(read: Callable[[Place], None], place: Place) -> None:
    """Call a reader again and again, and note each error that it ends with."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    after_brokers(os.getpid())
    place.folder.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            read(place)
        except Exception as error:
            with (place.folder / ERRORS).open("a") as file:
                kind = "error" if isinstance(error, TfkafkaError) else "unexpected"
                file.write(f"{kind}: {type(error).__name__}: {error}".replace("\n", " ") + "\n")
        _rest()


def _rest() -> None:
    """Do not fill the log with errors while a topic or a broker is away."""
    time.sleep(PAUSE_S)


@contextmanager
def _original_errors(dataset) -> Iterator[None]:
    """Raise the error that ended an iteration, in place of TensorFlow's."""
    try:
        yield
    except TfkafkaError:
        raise
    except Exception as error:
        raise (dataset.error or error) from None


def _columns(dataset) -> tuple[np.ndarray, ...]:
    """(partitions, offsets, numbers) of batches of (features, label, metadata)."""
    parts = [_places(features, where) for features, _, where in dataset]
    empty = (np.zeros(0, np.int64),) * 3
    return tuple(map(np.concatenate, zip(empty, *parts, strict=True)))


def _places(features, where) -> tuple[np.ndarray, ...]:
    numbers = features[:, 1].numpy().astype(np.int64)
    return where.partition.numpy().astype(np.int64), where.offset.numpy(), numbers


def _used(place: Place) -> dict[int, int]:
    """The next offset of each partition after those that are recorded as used."""
    following: dict[int, int] = {}
    for file in find_files(place.folder):
        for entries in file.chunks():
            done = entries[entries["kind"] == Kind.DELIVERED]
            for partition in np.unique(done["partition"]).tolist():
                last = int(done["offset"][done["partition"] == partition].max())
                following[partition] = max(following.get(partition, 0), last + 1)
    return following
