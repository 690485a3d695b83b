"""Models are exchanged while learner and worker are killed: each prediction names its model."""

from __future__ import annotations

import random
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults import learner_child, server_child
from tests.faults.learner_child import COLUMNS, said
from tests.isolated import run
from tfkafka import Admin, CsvDecoder, write
from tfkafka.config import FOREVER, Limits
from tfkafka.decoding.base import decode_checked
from tfkafka.exactly_once import wait_until_settled
from tfkafka.exactly_once.origins import SOURCE
from tfkafka.reading.ranges import read, resolve
from tfkafka.testing import wait_for

PARTITIONS = 2
RECORDS = 100
DEADLINE_S = 120.0
# The graph gives the same numbers for all sizes of batches, up to rounding.
ROUNDING = 1e-6


class Kept:
    """A process that is started again, with the next fault, whenever it was killed."""

    def __init__(self, start: Callable[[tuple[str, int] | None], object], faults: Iterator):
        self._start, self._faults = start, faults
        self.kills = 0
        self.process = start(next(faults))

    def keep(self) -> None:
        if self.process.is_alive():
            return
        assert self.process.exitcode == -signal.SIGKILL, self.process.exitcode
        self.kills += 1
        self.process = self._start(next(self._faults))

    def end(self) -> None:
        """Kill it, where it has not killed itself."""
        self.process.kill()
        self.process.join(DEADLINE_S)


@pytest.mark.timeout(1800)
def test_each_prediction_is_of_the_model_that_it_names(
    kafka, make_topic, group, tmp_path, times, note_fault
):
    wanted = times(2, 20)
    servers = kafka.bootstrap_servers
    source, target = make_topic(PARTITIONS), make_topic(PARTITIONS)
    learning = learner_child.Options(
        servers,
        source,
        tmp_path,
        mini_dataset=RECORDS,
        stream_timeout=FOREVER,
        export_s=0.0,
        keep_exports=10_000,
    )
    exports = tmp_path / "learner" / "exports"
    serving = server_child.Options(servers, source, target, group, exports)
    rng, rounds = random.Random(17), 1

    def learner_faults() -> Iterator[tuple[str, int]]:
        while True:
            yield "any", rng.randint(5, 40)

    def worker_faults() -> Iterator[tuple[str, int]]:
        while True:
            yield "load", 2
            yield rng.choice(["produced", "offsets", "committed"]), rng.randint(2, 6)

    fill(servers, source, rounds)
    learner = Kept(lambda at: learner_child.start(learning.but(signal_at=at)), learner_faults())
    wait_for(lambda: models(exports), "the first model", DEADLINE_S)
    worker = Kept(lambda at: server_child.start(serving.but(kill=at)), worker_faults())

    def is_done() -> bool:
        """Whether all records are learnt from and predicted."""
        learner.keep()
        worker.keep()
        return models(exports)[-1:] >= [rounds] and served(servers, group) == rounds * RECORDS

    try:
        while learner.kills < wanted or worker.kills < wanted:
            wait_for(is_done, f"round {rounds}; {said(learning)}", DEADLINE_S)
            rounds += 1
            fill(servers, source, rounds)
        wait_for(is_done, "the last round", DEADLINE_S)
    finally:
        learner.end()
        worker.end()
    last = server_child.start(serving.but(stream_timeout=0))
    assert learner_child.end(last) == 0
    wait_until_settled({"bootstrap.servers": servers}, target)
    names, transactions = run(check, servers, source, target, exports, rounds * RECORDS)
    assert names >= 3
    note_fault(
        "models exchanged while learner and worker are killed -9",
        learner.kills + worker.kills,
        f"{learner.kills} and {worker.kills} kills, {names} models in {transactions} transactions",
        "each prediction once, and of the model that it names",
    )


def fill(servers: str, topic: str, number: int) -> None:
    """The records of a round, whose class is the sign of their sum."""
    rows = np.random.default_rng(number).normal(size=(RECORDS, COLUMNS))
    for partition in range(PARTITIONS):
        mine = rows[partition::PARTITIONS]
        values = [",".join(map(repr, row)) for row in mine.tolist()]
        keys = [repr(float(row.sum() > 0)) for row in mine]
        write(servers, topic, values, keys, partition=partition)


def models(exports: Path) -> list[int]:
    """The numbers of mini datasets of the exported models, ascending."""
    return sorted(int(path.name.split("-")[1]) for path in exports.glob("model-*.keras"))


def served(servers: str, group: str) -> int:
    """How many records have a committed prediction."""
    return sum(row.committed or 0 for row in Admin(servers).describe_group(group))


def check(servers: str, source: str, target: str, exports: Path, records: int) -> tuple[int, int]:
    """Compare each prediction with that of the model that it names; count models, transactions.

    A prediction is that of no other model: else a wrong name would not be seen.
    """
    import keras

    from tfkafka.exactly_once import keras_predict

    settings = {"bootstrap.servers": servers, "isolation.level": "read_committed"}
    features = {}
    for chunk in read(resolve(settings, Limits(), source), settings, Limits()):
        rows = decode_checked(CsvDecoder(COLUMNS), chunk).arrays[0]
        places = zip(chunk.partitions.tolist(), chunk.offsets.tolist(), strict=True)
        features |= dict(zip(places, rows, strict=True))
    found, seen = defaultdict(list), []
    for chunk in read(resolve(settings, Limits(), target), settings, Limits(), metadata=True):
        places = zip(chunk.partitions.tolist(), chunk.offsets.tolist(), strict=True)
        values = chunk.values.entries.tolist()
        for (partition, offset), value, headers in zip(
            places, values, chunk.metadata[1], strict=True
        ):
            _, *numbers, name = dict(headers)[SOURCE].decode().split("/", 3)
            place = tuple(map(int, numbers))
            seen.append(place)
            found[partition].append((offset, name, place, float(value)))
    assert sorted(seen) == sorted(features) and len(seen) == records
    parts = [part for each in found.values() for part in transactions_of(sorted(each))]
    every = {path.stem: path for path in exports.glob("model-*.keras")}
    predict = {name: keras_predict(keras.models.load_model(every[name])) for name in every}
    for part in parts:
        [name] = {each[1] for each in part}
        rows = np.array([features[place] for _, _, place, _ in part])
        values = np.array([value for *_, value in part])
        off = {other: float(np.abs(predict[other](rows) - values).max()) for other in every}
        assert off.pop(name) < ROUNDING, name
        assert min(off.values()) > 10 * ROUNDING, off
    return len({part[0][1] for part in parts}), len(parts)


def transactions_of(rows: list[tuple]) -> Iterator[list[tuple]]:
    """The predictions of a partition by transaction: the end of each takes an offset."""
    part: list[tuple] = []
    for row in rows:
        if part and row[0] != part[-1][0] + 1:
            yield part
            part = []
        part.append(row)
    yield part
