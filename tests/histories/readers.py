"""The five ways to read a topic, each as an object that reads on, or again, on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np

from tests.histories.history import Story
from tests.histories.product import (
    CsvDecoder,
    ExactlyOnceInference,
    Job,
    KafkaBatchDataset,
    KafkaDataset,
    KafkaGroupDataset,
    Stream,
    learn,
    poisoned,
)
from tests.histories.stage import Stage

EARLIEST = ["auto.offset.reset=earliest"]
MINI = 100
NUMBER = CsvDecoder(1)
LABELLED = CsvDecoder(1, label="key")


def places(dataset) -> Iterator[str]:
    """Return the elements of a dataset of (message, key, metadata)."""
    for message, _, where in dataset.as_numpy_iterator():
        yield place(message, where)


def places_of_batches(batches) -> Iterator[str]:
    """Return the elements of a dataset of batches of them, which is far quicker to read."""
    for messages, _, where in batches.as_numpy_iterator():
        for index, message in enumerate(messages):
            yield place(message, type(where)(*(column[index] for column in where)))


def places_of_minis(dataset) -> Iterator[str]:
    """Return the elements of a dataset of mini datasets, one mini dataset after the other."""
    for mini in dataset:
        yield from places_of_batches(mini.batch(len(mini)))


def place(message: bytes, where) -> str:
    """Return a record as histories have it; zeros before a number are left out."""
    text = message.decode()
    value = str(int(text)) if text.isdigit() else text
    return f"{int(where.partition)}:{int(where.offset)}:{value}"


def values(dataset) -> Iterator[str]:
    """Return the messages of a dataset of (message, key)."""
    for message, *_ in dataset:
        yield message.numpy().decode()


def first_column(rows: np.ndarray) -> np.ndarray:
    """A model whose prediction is its first feature."""
    return rows[:, 0]


def mini_size(records: int) -> list[str]:
    """Return the settings of a new group's mini datasets of so many records."""
    return [*EARLIEST, f"batch.num.messages={records}"]


class Reader:
    """Reads a topic to its present end.

    Attributes:
        group: that of this reader.
    """

    online = False

    def __init__(self, stage: Stage, story: Story, topic: str, partitions: int = 1):
        self.stage, self.story, self.topic, self.partitions = stage, story, topic, partitions
        self.group = stage.name("group")

    def read(self) -> None:
        """Read, and note what was delivered, committed and raised."""
        raise NotImplementedError

    def note_commits(self, when: str) -> None:
        self.story.commit(when, self.stage.committed(self.group, self.topic))


class Bounded(Reader):
    """`KafkaDataset`: each time a new one, of the whole topic."""

    def read(self) -> None:
        dataset = None
        try:
            dataset = KafkaDataset(
                self.topic, list(range(self.partitions)), servers=self.stage.servers, metadata=True
            )
            self.story.deliver(places(dataset))
        except Exception as error:
            self.story.error(error, dataset)


class Group(Reader):
    """`KafkaGroupDataset` that commits by itself and ends at the present end."""

    def read(self) -> None:
        dataset = KafkaGroupDataset(
            self.topic, self.group, self.stage.servers, 0, EARLIEST, metadata=True
        )
        try:
            self.story.deliver(places(dataset))
        except Exception as error:
            self.story.error(error, dataset)
        self.note_commits("at the end")


class MiniBatch(Reader):
    """`KafkaBatchDataset` in a loop.

    Of several partitions, which records share a mini dataset is not determined, but how many are
    committed after each one is.
    """

    def read(self) -> None:
        dataset = KafkaBatchDataset(
            self.topic, self.group, self.stage.servers, 0, mini_size(MINI), metadata=True
        )
        lengths = []
        try:
            for mini in dataset:
                lengths.append(str(len(mini)))
                self.story.deliver(places(mini))
                self._note_step(len(lengths))
        except Exception as error:
            self.story.error(error, dataset)
        self.story.step(f"mini datasets of {' '.join(lengths)}")
        self.note_commits("at the end")

    def _note_step(self, number: int) -> None:
        offsets = self.stage.committed(self.group, self.topic)
        if self.partitions == 1:
            self.story.commit(f"in mini dataset {number}", offsets)
        else:
            total = sum(offsets.values())
            self.story.commits.append(f"in mini dataset {number}: {total} records in all")


class Worker(Reader):
    """`ExactlyOnceInference` to the present end; elements are the committed predictions."""

    def __init__(self, stage: Stage, story: Story, topic: str, partitions: int = 1):
        super().__init__(stage, story, topic, partitions)
        self.predictions = stage.topic("predictions")
        self._known = 0

    def read(self) -> None:
        try:
            counts = self.make().run()
            self.story.step(f"used {counts.used} of {counts.read}")
        except Exception as error:
            self.story.error(error)
        self.story.deliver(self.fresh())
        self.note_commits("at the end")

    def make(self, predict: Callable = first_column, worker: str = "1", **options):
        """A worker with a name of its own; `run` it."""
        names = (*poisoned("fail"),)
        of_job = {name: options.pop(name) for name in names if name in options}
        job = Job(predict, NUMBER, [self.topic], self.predictions, self.group, worker, **of_job)
        return ExactlyOnceInference(
            job,
            self.stage.servers,
            **{"transaction_records": MINI, "transaction_wait": 10_000, **options},
        )

    def fresh(self) -> list[str]:
        """The committed predictions since the last call, as the places of their inputs."""
        found = self.stage.messages(self.predictions)[self._known :]
        self._known += len(found)
        return [_origin(dict(message.headers()), message.value()) for message in found]


class Learner(Reader):
    """`learn` on mini datasets of 100 offsets, on from its folder; elements are values alone.

    Its positions stand for commits: what it tells a group may be left out when it is too much.
    """

    online = True

    def read(self, inspect: Callable[[int], None] = lambda _number: None, **options) -> None:
        """Learn; `inspect` is called with the number of each mini dataset that is trained on."""
        trained = []

        def train(_model, features: np.ndarray, labels: np.ndarray) -> None:
            trained.append(len(features))
            self.story.step(f"mini dataset of {len(features)}, labels {_summary(labels)}")
            self.story.deliver(str(int(value)) for value in features[:, 0])
            inspect(len(trained))

        chosen = {"mini_dataset": MINI, "stream_timeout": 0, **options}
        try:
            stream = Stream(self.topic, LABELLED, self.stage.servers, **chosen)
            progress = learn(
                self.stage.folder / "learner",
                stream,
                linear,
                train,
                seed=1,
                notify=lambda _line: None,
            )
        except Exception as error:
            self.story.error(error)
        else:
            self.story.step(f"{progress.records} records in {progress.mini_datasets} mini datasets")
            self.story.commit("learner's positions", progress.positions)


def linear(metrics: list[str] | None = None) -> keras.Model:
    """A compiled model of one number that stays as it is."""
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=metrics)
    return model


def _origin(headers: dict[str, bytes], value: bytes) -> str:
    number = float(value)
    shown = str(int(number)) if number.is_integer() else str(number)
    _topic, partition, offset, _model = headers["tfkafka.source"].decode().split("/", 3)
    return f"{partition}:{offset}:{shown}"


def _summary(labels: np.ndarray) -> str:
    return " ".join(f"{value:g}*{np.sum(labels == value)}" for value in np.unique(labels))


READERS = {
    "bounded": Bounded,
    "group": Group,
    "mini_batch": MiniBatch,
    "exactly_once": Worker,
    "online": Learner,
}
