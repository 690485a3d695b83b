"""The faults of workers whose group is cooperative, or of the protocol of Kafka 4 (KIP-848).

`make faults-full` takes all that hold in each protocol; otherwise it is one of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import groups
from tests.faults import test_exactly_once_workers as workers
from tests.faults.conftest import FULL
from tests.faults.harness import Stage, Worker
from tfkafka import Admin
from tfkafka.testing.brokers.embedded import EmbeddedBroker

PROTOCOLS = {"cooperative-sticky": groups.COOPERATIVE, "consumer": groups.CONSUMER}
# A worker that is killed and started again waits for so long, where a test sets nothing else.
SESSION_S = 2.0


# Each of them: those of the other faults may have been made before, of another broker.
@pytest.fixture(scope="module")
def kafka(embedded_kafka) -> EmbeddedBroker:
    return embedded_kafka("4.4.0")


@pytest.fixture(scope="module")
def kafka_admin(kafka) -> Admin:
    return Admin(kafka.bootstrap_servers)


@pytest.fixture(scope="module")
def admin(kafka_admin) -> Admin:
    return kafka_admin


@pytest.fixture(params=PROTOCOLS, autouse=True)
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def spawn(spawn: Callable[..., Worker], protocol: str) -> Callable[..., Worker]:
    """See `conftest`: with the settings of the protocol."""
    chosen = PROTOCOLS[protocol]

    def start(stage: Stage, configuration: dict | None = None, **options) -> Worker:
        given = dict(configuration or {})
        if chosen == groups.CONSUMER:
            session_s = given.pop("session.timeout.ms", 1000 * SESSION_S) / 1000
            heartbeat_ms = given.pop("heartbeat.interval.ms", groups.HEARTBEAT_MS)
            groups.set_intervals(stage.servers, stage.group, session_s, heartbeat_ms)
        return spawn(stage, configuration={**given, **chosen}, **options)

    return start


@pytest.fixture
def note_fault(note_fault: Callable[..., None], protocol: str) -> Callable[..., None]:
    return lambda what, *rest: note_fault(f"{what}; {protocol}", *rest)


test_one_of_two_is_killed_and_the_other_takes_over = (
    workers.test_one_of_two_is_killed_and_the_other_takes_over
)
if FULL:
    test_killed_again_and_again = workers.test_killed_again_and_again
    test_killed_at_a_marked_point = workers.test_killed_at_a_marked_point
    test_stop_leaves_the_group_and_another_goes_on_at_once = (
        workers.test_stop_leaves_the_group_and_another_goes_on_at_once
    )
    test_frozen_worker_wakes_as_a_zombie = workers.test_frozen_worker_wakes_as_a_zombie
    test_frozen_within_a_transaction_nobody_has_taken_over = (
        workers.test_frozen_within_a_transaction_nobody_has_taken_over
    )
    test_zombie_of_the_same_name_is_fenced_and_stops = (
        workers.test_zombie_of_the_same_name_is_fenced_and_stops
    )
    test_slow_model_does_not_lose_the_membership = (
        workers.test_slow_model_does_not_lose_the_membership
    )
