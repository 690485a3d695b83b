"""Everything that connects to Kafka, used in the same way, and what it fails with."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import tensorflow as tf

from tfkafka import (
    Admin,
    CsvDecoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    config,
    tfio,
    write,
)
from tfkafka.errors import BrokerError, ReadError, TfkafkaError, WriteError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.online import Stream, learn
from tfkafka.tfio import kafka as tfio_kafka

TIMEOUT_MS = 120_000
LIMITS = {"broker_timeout": TIMEOUT_MS}
DECODE = CsvDecoder(2, label="key")
RECORDS = 40
EARLIEST = {"auto.offset.reset": "earliest"}

Settings = dict[str, object]


@dataclass(frozen=True)
class Target:
    """Where something connects to, and with which settings."""

    servers: str | None
    settings: Settings = field(default_factory=dict)
    topic: str = "t"
    output: str = "t-out"
    group: str = "g"


Client = Callable[[Target], int]


def first(rows):
    return rows[:, 0]


def build() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def read(dataset) -> int:
    """Read to the end, and return the number of elements. Raises what the dataset keeps."""
    try:
        return sum(1 for _ in dataset)
    except tf.errors.OpError:
        raise dataset.error from None


def address(at: Target) -> str:
    """For what has no default."""
    return config.DEFAULT_SERVERS if at.servers is None else at.servers


def bounded(at: Target) -> int:
    return read(KafkaDataset(at.topic, servers=at.servers, configuration=at.settings, **LIMITS))


def group(at: Target) -> int:
    settings = at.settings | EARLIEST
    return read(KafkaGroupDataset(at.topic, at.group, at.servers, 0, settings, **LIMITS))


def mini_batch(at: Target) -> int:
    settings = at.settings | EARLIEST
    return read(KafkaMiniBatchDataset(at.topic, at.group, at.servers, 0, settings, **LIMITS))


def tfio_dataset(at: Target) -> int:
    return read(tfio_kafka.KafkaDataset(at.topic, address(at), eof=True, config_global=at.settings))


def tfio_tensor(at: Target) -> int:
    tensor = tfio.IOTensor.from_kafka(at.topic, servers=at.servers, configuration=at.settings)
    return len(tensor.to_tensor())


def writer(at: Target) -> int:
    return write(address(at), at.topic, ["1,2"], ["1"], configuration=at.settings)


def admin_client(at: Target) -> int:
    return Admin(address(at), at.settings).record_count(at.topic)


def exactly_once(at: Target) -> int:
    job = InferenceJob(first, DECODE, [at.topic], at.output, at.group)
    worker = ExactlyOnceInference(
        job, at.servers, configuration=at.settings, broker_timeout=TIMEOUT_MS
    )
    return worker.run().used


def learner(
    folder: Path, notify: Callable[[str], object] = lambda _: None, **options: object
) -> Client:
    """A learner, new in each attempt."""
    folders = (folder / str(number) for number in itertools.count())

    def learned(at: Target) -> int:
        stream = Stream(
            at.topic,
            DECODE,
            at.servers,
            mini_dataset=RECORDS,
            stream_timeout=0,
            broker_timeout=TIMEOUT_MS,
            configuration=at.settings,
            **options,
        )
        done = learn(next(folders), stream, build, lambda *_: None, seed=1, notify=notify)
        return done.records

    return learned


CLIENTS: dict[str, tuple[Client, type[TfkafkaError]]] = {
    "KafkaDataset": (bounded, ReadError),
    "KafkaGroupDataset": (group, ReadError),
    "KafkaMiniBatchDataset": (mini_batch, ReadError),
    "tfio.kafka.KafkaDataset": (tfio_dataset, ReadError),
    "tfio.IOTensor": (tfio_tensor, ReadError),
    "write": (writer, WriteError),
    "Admin": (admin_client, BrokerError),
    "ExactlyOnceInference": (exactly_once, ReadError),
}


@dataclass
class Failure:
    """The class and text of an attempt's exception, and after how many seconds it came.

    Not the exception: its frames would keep the clients, which connect again and again.
    """

    kind: type[BaseException] | None
    line: str
    seconds: float


def attempt(client: Client, target: Target) -> Failure:
    began = time.monotonic()
    kind, line = None, "no exception"
    try:
        client(target)
    except BaseException as error:
        kind, line = type(error), str(error)
    return Failure(kind, line, time.monotonic() - began)


# Where a slow machine answers the probe too late, there are librdkafka's words of a certificate.
LATE = r"\(SSL handshake failed: .*\): check the settings ssl"


def check(failure: Failure, kind: type[TfkafkaError], words: str, at: str | None) -> None:
    """The line has the address, the reason and what to do, and no password."""
    words = f"{words}|{LATE}" if "certificate" in words else words
    assert failure.kind is kind, failure
    assert re.search(words, failure.line), failure.line
    assert at is None or at in failure.line, failure.line
    assert "\n" not in failure.line and "Pa55word" not in failure.line
    assert failure.seconds < TIMEOUT_MS / 2000, failure.line
