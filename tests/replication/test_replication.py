"""Brokers of a cluster are killed, restarted and upgraded under load: nothing is lost or doubled.

REPLICATION=full does each as often as `make replication-full` promises, and upgrades too. Each test
writes what it did and saw, and a verdict, into reports/replication-NAME.txt.
"""

from __future__ import annotations

import os

import pytest

from tests.chaos.plan import FIRST_PARTITIONS
from tests.replication.trial import trial

FULL = os.environ.get("REPLICATION") == "full"
OLD, NEW = "3.9.2", "4.4.0"
LEADERS, CONTROLLERS, RESTARTS = (20, 5, 3) if FULL else (2, 1, 1)

pytestmark = [pytest.mark.replication, pytest.mark.timeout(3600)]


def test_brokers_are_killed_and_restarted(tmp_path, capsys):
    with trial("faults", OLD, tmp_path, capsys) as run:
        for number in range(LEADERS):
            run.kill_leader(number % FIRST_PARTITIONS)
        for _ in range(CONTROLLERS):
            run.kill_controller()
        for _ in range(RESTARTS):
            run.restart_all()


@pytest.mark.skipif(not FULL, reason="takes minutes: make replication-full")
def test_brokers_are_upgraded_one_by_one(tmp_path, capsys):
    """The cluster is used as before in each state on the way, and a leader dies in each of them."""
    with trial("upgrade", OLD, tmp_path, capsys) as run:
        run.upgrade_all(NEW)
        run.kill_leader(0)
        run.raise_features()
        run.kill_leader(1)
        run.restart_all()
