"""The sides that several benchmarks have in common."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side
from tests.tutorial import FAST_FETCH, Messages

TFKAFKA = "tfkafka"
TUTORIALS = "tfkafka.tfio, the tutorial's code"
TENSORFLOW_IO = "tensorflow-io"
FAST_TENSORFLOW_IO = "tensorflow-io, fetch.wait.max.ms=5"
MEMORY = "from memory"

# A round of these takes more than 10 s: fewer rounds than the five that are usual.
FEWER_ROUNDS = 3


def bare_loop(topic: Topic) -> Side:
    """confluent-kafka's consume loop, nothing decoded."""
    return Side("confluent-kafka's bare loop", "ceiling", "reading:bare_loop", topic.place)


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


def rows(messages: Messages) -> dict[str, Any]:
    """What a side that works from memory wants to know."""
    return {"features": messages.features, "labels": messages.labels}


def records(messages: Messages) -> dict[str, Any]:
    """What a side that has the messages in memory wants to know."""
    return {"values": messages.values, "keys": messages.keys}
