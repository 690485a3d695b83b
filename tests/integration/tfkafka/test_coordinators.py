"""Requests to a group's coordinator that nobody waits for any longer, and its return."""

from __future__ import annotations

import contextlib
import os

import pytest

from tests.faults.proxy import Proxy
from tests.isolated import run
from tfkafka import Admin, config
from tfkafka.client import reports
from tfkafka.errors import BrokerError
from tfkafka.testing import wait_for

# Before the callers give up, after 1.5 s.
SOON_S = 1.0
AGAIN = 3


def members(servers: str, group: str, _topic: str) -> None:
    """Give up on a coordinator without a connection, which comes back."""
    # librdkafka's time-out of a request that is given none.
    config.ADMIN_DEFAULTS["socket.timeout.ms"] = int(1000 * SOON_S)
    proxy = Proxy(servers)
    admin = Admin(proxy.bootstrap_servers)
    proxy.refuse()
    with pytest.raises(BrokerError, match=f"group {group}: no connection"):
        admin.member_ids(group, "1")
    proxy.allow()

    def answered() -> bool:
        with contextlib.suppress(BrokerError):
            return admin.member_ids(group, "1") == set()
        return False

    wait_for(answered, "an answer")


def report(servers: str, group: str, topic: str) -> None:
    """The same, for a report of progress."""
    reports.REPORT_TIMEOUT_MS = int(1000 * SOON_S)
    proxy = Proxy(servers)
    progress = reports.OffsetReport({"bootstrap.servers": proxy.bootstrap_servers}, group, topic)
    proxy.refuse()
    progress.send({0: 1})
    assert f"group {group}: no answer from Kafka" in str(progress.refusal())
    proxy.allow()

    def accepted() -> bool:
        progress.send({0: 1})
        return progress.refusal() is None

    wait_for(accepted, "a report that is accepted")


def clients_that_wait_in_vain(servers: str, group: str, topic: str) -> int:
    """Return how many threads are left of clients that were given up."""

    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    proxy = Proxy(servers)
    reports.REPORT_TIMEOUT_MS = 50
    progress = reports.OffsetReport({"bootstrap.servers": proxy.bootstrap_servers}, group, topic)
    proxy.refuse()
    before = threads()
    for _ in range(AGAIN):
        progress.send({0: 1})
        assert progress.refusal() is not None
    with contextlib.suppress(Exception):
        wait_for(lambda: threads() <= before, "the end of the clients' threads", 10)
    return threads() - before


@pytest.mark.parametrize("request_", [members, report])
def test_a_request_without_an_answer_does_not_end_the_process(kafka, topic, group, request_):
    run(request_, kafka.bootstrap_servers, group, topic)


def test_clients_that_wait_in_vain_are_closed(kafka, topic, group):
    assert run(clients_that_wait_in_vain, kafka.bootstrap_servers, group, topic) <= 0


def test_a_group_with_a_member_refuses_a_report(kafka, topic, group, join):
    join(topic)
    progress = reports.OffsetReport({"bootstrap.servers": kafka.bootstrap_servers}, group, topic)
    wait_for(lambda: Admin(kafka.bootstrap_servers).has_members(group), "a member")
    progress.send({0: 1})
    assert "nknown member" in str(progress.refusal())
