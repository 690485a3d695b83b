"""What tests run on: a Kafka, and so many rows of SUSY."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from reproduction.claims import FULL_ROWS


@dataclass(frozen=True)
class Stack:
    """A Kafka, and rows of SUSY.

    Attributes:
        kafka: embedded, docker or HOST:PORT.
        version: of the embedded Kafka.
    """

    kafka: str
    version: str
    rows: int

    @property
    def name(self) -> str:
        return self.version if self.kafka == "embedded" else self.kafka


DEFAULT = Stack("embedded", "3.9.2", FULL_ROWS)
# The tutorial's own Kafka, which needs ZooKeeper.
TUTORIAL = Stack("embedded", "2.7.2", 10_000)


def chosen(config: pytest.Config) -> list[Stack]:
    """The stacks of the tutorial's tests; all other tests run on the first.

    A Kafka that the command line names is the only one, and so is a secured one.
    """
    kafka, version, rows = map(config.getoption, ("--kafka", "--kafka-version", "--susy-rows"))
    stacks = [DEFAULT, TUTORIAL]
    if version or kafka != "embedded" or config.getoption("--kafka-secured"):
        stacks = [replace(DEFAULT, kafka=kafka, version=version or DEFAULT.version)]
    return [replace(stack, rows=rows or stack.rows) for stack in stacks]
