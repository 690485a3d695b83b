"""Topics of unequal partitions with gaps, for processes that learn together.

The environment variable DISTRIBUTED=full repeats each kill as often as `make test-distributed-full`
promises; otherwise a few times.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.distributed.harness import COLUMNS, Ended, Options, learn, numbers
from tests.integration.tfkafka.records import transaction
from tfkafka import write
from tfkafka.exactly_once import wait_until_settled
from tfkafka.testing.brokers.embedded import EmbeddedBroker

FULL = os.environ.get("DISTRIBUTED") == "full"
full_only = pytest.mark.skipif(not FULL, reason="make test-distributed-full has it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/distributed" in str(item.path):
            item.add_marker(pytest.mark.distributed)


@pytest.fixture(scope="session")
def servers(kafka: EmbeddedBroker) -> str:
    return kafka.bootstrap_servers


@pytest.fixture
def times() -> Callable[[int, int], int]:
    """times(few, many): how often to repeat a fault."""
    return lambda few, many: many if FULL else few


def fill(servers: str, topic: str, sizes: Sequence[int]) -> list[int]:
    """Write as many records to each partition as its size says; return the numbers of all.

    The first column is a record's number in thousandths, the key is whether the others' sum is
    positive. Between the records of partition 0 are those of aborted transactions, and the first
    records of partition 1 are deleted.
    """
    rows = np.random.default_rng(3).normal(size=(sum(sizes), COLUMNS)).astype(np.float32)
    rows[:, 0] = np.arange(len(rows)) / 1000
    begin = 0
    for partition, size in enumerate(sizes):
        mine = rows[begin : begin + size]
        for part in np.array_split(mine, 3):
            if not partition:
                transaction(servers, topic, ["1,2,3,4"] * (size // 10), "abort")
            values = (",".join(map(str, row)) for row in part.tolist())
            keys = (str(float(row[1:].sum() > 0)) for row in part)
            write(servers, topic, values, keys, partition=partition)
        begin += size
    gone = sizes[1] // 10
    client = AdminClient({"bootstrap.servers": servers})
    for future in client.delete_records([TopicPartition(topic, 1, gone)]).values():
        future.result(30)
    wait_until_settled({"bootstrap.servers": servers}, topic)
    return [n for n in range(len(rows)) if not sizes[0] <= n < sizes[0] + gone]


@pytest.fixture(scope="session")
def small(servers, admin, topic_prefix, tmp_path_factory) -> tuple[Options, list[int]]:
    """A topic of 4 unequal partitions with gaps, 5 mini datasets; and the records in it."""
    topic = f"{topic_prefix}learn-together"
    admin.create_topic(topic, 4)
    records = fill(servers, topic, [800, 400, 300, 20])
    yield Options(servers, topic, str(tmp_path_factory.mktemp("small"))), records
    admin.delete_topic(topic)


@pytest.fixture(scope="session")
def never_killed(small) -> Ended:
    """How two processes end that learn from it without a fault."""
    options, records = small
    ended = learn(options.but(folder=options.folder + "/never-killed"), 2)
    assert numbers(ended) == records
    return ended[0]
