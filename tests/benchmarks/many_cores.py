"""Reading in many parsing threads, and an epoch in large batches on a GPU; run by hand.

python -m tests.benchmarks.many_cores --servers localhost:9092

It fills topics of its own, and deletes them. It needs neither pytest nor TensorFlow: Keras has the
backend that KERAS_BACKEND names. docs/benchmarks.md has what was seen.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from reproduction.report import machine
from reproduction.susy import synthetic
from tests.benchmarks import storing
from tests.benchmarks.catalogue import MEMORY, TFKAFKA, c_bare_loop, quick_bare_loop, records, rows
from tests.benchmarks.sides import c_loop
from tests.benchmarks.sides.writing import fill
from tests.benchmarks.topics import Topic
from tests.benchmarks.turns import ROUNDS, Comparison, take_turns
from tests.benchmarks.worker import Side
from tests.tutorial import Messages
from tfkafka import Admin, native_status

THREADS = [1, 2, 4, 8]
# By the size of a batch: a step of few records takes Keras longer than the model.
STEPS_PER_EXECUTION = {65_536: 1, 1024: 32}
ROWS = 60_000
PARTITIONS = 8


def main() -> None:
    options = _options()
    print(f"{machine.describe()['cpu']}, {os.cpu_count()} cores\n{native_status()}", flush=True)
    messages = Messages(synthetic.generate(ROWS))
    entries = []
    with tempfile.TemporaryDirectory() as folder, _topics(options, messages) as topic_of:
        library = c_loop.build(Path(folder))
        for each in _comparisons(messages, library, options):
            if not re.search(options.only, each.title):
                continue
            topic = topic_of(each.partitions)
            found = take_turns(
                "many cores", each.title, topic.records, topic.size, each.sides(topic), each.rounds
            )
            _show(found)
            entries.append(storing.entry(found))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.describe(), "found": entries}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--records", type=int, default=4_000_000, help="of each topic")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="a pattern of the titles to measure")
    parser.add_argument("--broker", type=int, help="its process, whose CPU time is shown")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    return parser.parse_args()


@contextmanager
def _topics(options: argparse.Namespace, messages: Messages) -> Iterator[Callable[[int], Topic]]:
    """Gives the topic of so many partitions, which is filled when it is first wanted."""
    admin = Admin(options.servers)
    made: dict[int, Topic] = {}

    def topic_of(partitions: int) -> Topic:
        if partitions not in made:
            name = f"many-cores-{os.getpid()}-in-{partitions}"
            admin.create_topic(name, partitions)
            where = options.servers, name
            made[partitions] = Topic(*where, options.records // partitions * partitions, 0)
            size = fill(*where, messages.values, messages.keys, options.records, partitions)
            made[partitions] = replace(made[partitions], size=size)
        return made[partitions]

    try:
        yield topic_of
    finally:
        for topic in made.values():
            admin.delete_topic(topic.name)


@dataclass(frozen=True)
class _Compared:
    """What takes turns: a title, and the sides that read a topic of so many partitions."""

    title: str
    partitions: int
    sides: Callable[[Topic], list[Side]]
    rounds: int


def _comparisons(
    messages: Messages, library: Path, options: argparse.Namespace
) -> Iterator[_Compared]:
    rounds = options.rounds

    def parsed(topic: Topic) -> list[Side]:
        return _by_threads("from_memory", {**records(messages), "records": topic.records})

    def place(topic: Topic) -> dict[str, Any]:
        return {**topic.place, "broker": options.broker}

    def read(topic: Topic) -> list[Side]:
        return _by_threads("decoded", place(topic))

    def read_beside(topic: Topic) -> list[Side]:
        return [*read(topic), *c_bare_loop(topic, library), quick_bare_loop(topic)]

    def by_thread(topic: Topic) -> list[Side]:
        return [Side(TFKAFKA, "subject", "many_cores:decoded", place(topic), by_thread=True)]

    yield _Compared("Parse from memory", 1, parsed, rounds)
    # The loops read one partition.
    for partitions, sides in ((1, read_beside), (PARTITIONS, read)):
        where = f"partitions: {partitions}"
        yield _Compared(f"Read and decode, {where}", partitions, sides, rounds)
        yield _Compared(f"CPU by thread, {where}", partitions, by_thread, 1)
    for batch_size, steps in STEPS_PER_EXECUTION.items():
        batches = {"batch_size": batch_size, "steps_per_execution": steps}
        title = f"Epoch in batches of {batch_size:,}, steps_per_execution={steps}"
        yield _Compared(title, 1, partial(_epochs, messages, batches), rounds)


def _by_threads(function: str, arguments: dict[str, Any]) -> list[Side]:
    return [
        Side(
            f"{number} threads",
            "subject",
            f"many_cores:{function}",
            {**arguments, "threads": number},
        )
        for number in THREADS
    ]


def _epochs(messages: Messages, batches: dict[str, int], topic: Topic) -> list[Side]:
    """They share a process: a second one might not get memory of the GPU."""
    memory = {**rows(messages), "records": topic.records, **batches}
    return [
        Side(label, kind, f"many_cores:{function}", arguments, process="Keras")
        for label, kind, function, arguments in [
            (TFKAFKA, "subject", "epoch", {**topic.place, **batches}),
            (MEMORY, "ceiling", "epoch_of_arrays", memory),
            (f"{MEMORY}, in batches", "ceiling", "epoch_of_batches", memory),
        ]
    ]


def _show(found: Comparison) -> None:
    """A line for each side: medians, and throughput against each side."""
    print(f"\n{found.title}: {found.records:,} records, {found.disturbed} rounds repeated")
    labels = [side.label for side in found.sides]
    for label in labels:
        figures = found.figures(label)
        ratios = " ".join(f"{median(found.ratios(label, to)):6.2f}" for to in labels)
        print(
            f"  {label:<55} {figures['records_per_s']:>12,.0f}/s {figures['wall_s']:7.3f} s, "
            f"CPU {figures['cpu_s']:6.2f} s, stolen {figures['stolen_s']:.2f} s | {ratios}"
        )
    for name, seconds in found.apart().items():
        print(f"    {name}: {seconds:.2f} s")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
