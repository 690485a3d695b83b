"""The sides that several benchmarks have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side
from tests.tutorial import FAST_FETCH, Messages
from tfkafka import config, native
from tfkafka.client.batch_size import LARGE
from tfkafka.native import sources

TFKAFKA = "tfkafka"
NATIVE = "tfkafka, native"
PYTHON = "tfkafka, Python"
TUTORIALS = "tfkafka.tfio, the tutorial's code"
RECORD_BY_RECORD = "tfkafka.tfio, the tutorial's code record by record"
TENSORFLOW_IO = "tensorflow-io"
FAST_TENSORFLOW_IO = "tensorflow-io, fetch.wait.max.ms=5"
MEMORY = "from memory"

# A round of these takes more than 10 s: fewer rounds than the five that are usual.
FEWER_ROUNDS = 3


def bare_loop(topic: Topic) -> Side:
    """confluent-kafka's consume loop, nothing decoded."""
    return Side("confluent-kafka's bare loop", "ceiling", "reading:bare_loop", topic.place)


def quick_bare_loop(topic: Topic) -> Side:
    """The bare loop, without the second for which librdkafka rests when its queue was full."""
    arguments = {**topic.place, "settings": {"fetch.queue.backoff.ms": 10}}
    label = "confluent-kafka's bare loop, fetch.queue.backoff.ms=10"
    return Side(label, "ceiling", "reading:bare_loop", arguments)


def c_bare_loop(topic: Topic, library: Path | None, **options: Any) -> list[Side]:
    """librdkafka's messages taken and dropped in C, where that was compiled.

    The client has the settings of tfkafka's own.
    """
    if library is None:
        return []
    settings = config.CONSUMER_DEFAULTS | config.RANGES_DEFAULTS | config.CONSUMER_FIXED
    settings = config.with_read_ahead(settings, config.Limits())
    del settings["bootstrap.servers"]
    arguments = {**topic.place, "library": str(library), "settings": dict(settings)}
    return [Side("C's bare loop", "ceiling", "c_loop:bare_loop", arguments, **options)]


def c_produce_loop(topic: Topic, features: np.ndarray, library: Path | None) -> list[Side]:
    """Records produced one by one in C, where that was compiled, by a client like tfkafka's own."""
    if library is None:
        return []
    settings = config.WRITER_DEFAULTS | config.WRITER_FIXED | {"batch.size": LARGE}
    for own in ("bootstrap.servers", "logger"):
        del settings[own]
    arguments = {**topic.where, "features": features}
    arguments |= {"library": str(library), "settings": dict(settings)}
    return [Side("C's produce loop", "ceiling", "c_loop:produce_loop", arguments)]


def fillers(prepare: str, arguments: dict[str, Any], **options: Any) -> list[Side]:
    """tfkafka with the native library, where that was compiled, and without."""
    labels = {"1": NATIVE, "0": PYTHON}
    return [
        Side(
            labels[value],
            "subject",
            prepare,
            arguments,
            environment={native.VARIABLE: value},
            **options,
        )
        for value in native_or_not()
    ]


def parsers(topic: Topic, messages: Messages, **options: Any) -> list[Side]:
    """Parsing alone, by the parser of each of `fillers`."""
    labels = {"1": "the native parser from memory", "0": "polars from memory"}
    memory = {**records(messages), "records": topic.records}
    return [
        Side(
            labels[value],
            "ceiling",
            "reading:from_memory",
            memory,
            environment={native.VARIABLE: value},
            **options,
        )
        for value in native_or_not()
    ]


def native_or_not() -> list[str]:
    """Values of TFKAFKA_NATIVE that make a difference here."""
    is_there = native.PATH.exists() and sources.is_current(native.PATH)
    return ["1", "0"] if is_there else ["0"]


def consumer_performance(topic: Topic, java: dict[str, str] | None) -> list[Side]:
    """Kafka's own tool, where there is one."""
    if java is None:
        return []
    arguments = {**topic.place, **java}
    return [Side("Java's ConsumerPerformance", "ceiling", "java:consumer", arguments)]


def tensorflow_io(prepare: str, arguments: dict[str, Any], default: bool = True) -> list[Side]:
    """tensorflow-io as it is by default, if wanted, and with the wait that makes it fast."""
    arguments = {"reader": "tensorflow_io", **arguments}
    fast = Side(
        FAST_TENSORFLOW_IO, "alternative", prepare, {**arguments, "configuration": FAST_FETCH}
    )
    return [Side(TENSORFLOW_IO, "alternative", prepare, arguments), fast] if default else [fast]


def tutorials(prepare: str, arguments: dict[str, Any]) -> Side:
    """The tutorial's code with nothing but the import changed."""
    return Side(TUTORIALS, "subject", prepare, {"reader": "tfkafka.tfio", **arguments})


def record_by_record(prepare: str, arguments: dict[str, Any]) -> Side:
    """The same, where each call of the tutorial's function is for one record."""
    arguments = {"reader": "tfkafka.tfio", **arguments}
    if "group" in arguments:
        arguments["group"] += "-record-by-record"
    environment = {"TFKAFKA_LIFT": "0"}
    return Side(RECORD_BY_RECORD, "alternative", prepare, arguments, environment=environment)


def rows(messages: Messages) -> dict[str, Any]:
    """What a side that works from memory wants to know."""
    return {"features": messages.features, "labels": messages.labels}


def records(messages: Messages) -> dict[str, Any]:
    """What a side that has the messages in memory wants to know."""
    return {"values": messages.values, "keys": messages.keys}
