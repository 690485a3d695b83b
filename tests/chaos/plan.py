"""The faults of a chaos run: a pure function of its seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

BROKERS = 3
FIRST_PARTITIONS = 2
MOST_PARTITIONS = 6


class Kind(StrEnum):
    """What is done: to a broker, to a reader, or to a topic."""

    KILL_BROKER = "broker killed"
    PAUSE_BROKER = "broker paused"
    CUT_BROKER = "broker cut off"
    RESTART_BROKER = "broker restarted"
    KILL_READER = "reader killed"
    PAUSE_READER = "reader paused"
    ADD_PARTITION = "partition added"
    RECREATE = "topic created again"
    RETENTION = "records deleted"


TO_BROKERS = (Kind.KILL_BROKER, Kind.PAUSE_BROKER, Kind.CUT_BROKER, Kind.RESTART_BROKER)
TO_READERS = (Kind.KILL_READER, Kind.PAUSE_READER)
# Readers are many: they have more faults than topics.
OTHERS = (*TO_READERS, *TO_READERS, Kind.ADD_PARTITION, Kind.RECREATE, Kind.RETENTION)


@dataclass(frozen=True)
class Fault:
    """A fault, and what it hits: the number of a broker, or the name of a reader.

    Attributes:
        frozen: whether the reader of the topic is paused meanwhile; only of Kind.RECREATE.
    """

    kind: Kind
    target: int | str = ""
    frozen: bool = False

    def __str__(self) -> str:
        target = "" if self.target == "" else f" ({self.target})"
        return f"{self.kind}{target}{', its reader paused' if self.frozen else ''}"


@dataclass(frozen=True)
class Step:
    """Faults that begin together, `calm_s` after the step before, and are healed together."""

    calm_s: float
    faults: tuple[Fault, ...]
    duration_s: float

    def __str__(self) -> str:
        return f"{' + '.join(map(str, self.faults))} for {self.duration_s:.1f} s"


def steps(seed: int, readers: Sequence[str]) -> Iterator[Step]:
    """Yield the steps of a run, without an end.

    Kinds are drawn as cards from shuffled decks, so that a short run has each of them too.
    """
    rng = random.Random(seed)
    brokers, others, targets = _deck(rng, TO_BROKERS), _deck(rng, OTHERS), _deck(rng, readers)
    partitions = FIRST_PARTITIONS
    while True:
        faults = []
        if rng.random() < 0.75:
            faults.append(Fault(next(brokers), rng.randrange(BROKERS)))
        if not faults or rng.random() < 0.75:
            kind = next(others)
            if kind == Kind.ADD_PARTITION and partitions == MOST_PARTITIONS:
                kind = Kind.KILL_READER
            partitions += kind == Kind.ADD_PARTITION
            target = next(targets) if kind in TO_READERS else ""
            faults.append(Fault(kind, target, kind == Kind.RECREATE and rng.random() < 0.5))
        yield Step(rng.uniform(0.5, 2.0), tuple(faults), rng.uniform(3.0, 9.0))


def _deck(rng: random.Random, cards: Sequence) -> Iterator:
    while True:
        yield from rng.sample(cards, len(cards))
