"""A broker that is frozen, while the others of its cluster answer.

librdkafka connects to any broker, and asks the one that it asked last: of several clients, some ask
the one that is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfkafka import Admin, write
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.embedded import EmbeddedCluster

pytestmark = pytest.mark.replication

TOPIC = "frozen-broker"
# None of them asks a certain broker in one of 130 runs.
CLIENTS = 12
RECORDS = 10
DEADLINE_S = 60.0


@pytest.fixture(params=range(3))
def frozen(request, kafka_cluster: EmbeddedCluster):
    """The number of a broker that is to be frozen; all of them run afterwards."""
    servers = kafka_cluster.bootstrap_servers
    if TOPIC not in Admin(servers).topics():
        Admin(servers).create_topic(TOPIC, 1, replication_factor=3)
        write(servers, TOPIC, ["1"] * RECORDS, configuration={"acks": "all"})
    kafka_cluster.wait_until_in_sync()
    yield request.param
    for broker in range(3):
        kafka_cluster.resume(broker)
    kafka_cluster.wait_until_in_sync()


QUESTIONS: dict[str, Callable[[Admin], object]] = {
    "topics": Admin.topics,
    "topic": lambda admin: admin.describe_topic(TOPIC),
    "ends": lambda admin: admin.end_offsets(TOPIC),
}


def test_admins_are_answered_by_the_others(kafka_cluster, frozen):
    """Also those that were given its address alone."""
    servers = [kafka_cluster.bootstrap_servers, kafka_cluster.address(frozen)]
    admins = [Admin(servers[number % 2]) for number in range(CLIENTS)]
    for admin in admins:
        for ask in QUESTIONS.values():
            ask(admin)
    kafka_cluster.pause(frozen)
    wait_for(lambda: kafka_cluster.leader(TOPIC, 0) != frozen, "another leader", DEADLINE_S)

    def run(admin: Admin) -> list[object]:
        return [ask(admin) for ask in QUESTIONS.values()]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(run, admins, timeout=DEADLINE_S))
    assert [ends for *_, ends in answers] == [{0: RECORDS}] * CLIENTS
