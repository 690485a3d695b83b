"""What comes before the first record: imports, and opening a dataset."""

from __future__ import annotations

import importlib

from tests.benchmarks.meter import Sample, measured
from tests.benchmarks.worker import Round


def imports(modules: list[str]) -> Round:
    """Importing these, in a process that has imported nothing yet."""
    return lambda _number: measured(lambda: [importlib.import_module(name) for name in modules])


def bounded(servers: str, topic: str) -> Round:
    """From the begin of an iteration to the first element."""
    from tfkafka import KafkaDataset

    dataset = KafkaDataset(topic, servers=servers)
    next(iter(dataset))
    return lambda _number: _first(dataset)


def by_group(servers: str, topic: str, group: str) -> Round:
    """The same by a group that nobody has been a member of."""
    from tfkafka import KafkaGroupDataset

    earliest = ["auto.offset.reset=earliest"]

    def once(number: int) -> Sample:
        return _first(KafkaGroupDataset(topic, f"{group}-{number}", servers, 0, earliest))

    once(-1)
    return once


def tutorial_by_group(reader: str, servers: str, topic: str, group: str) -> Round:
    """The same through the names of tensorflow-io, which `reader` offers."""
    from tests.integration.tutorial.steps import group_dataset

    return lambda number: _first(group_dataset(reader, servers, topic, f"{group}-{number}"))


def _first(dataset) -> Sample:
    # Kept until the clock has stopped: to let go of an iterator takes time as well.
    iterators = []

    def work() -> None:
        iterators.append(iter(dataset))
        next(iterators[0])

    return measured(work)
