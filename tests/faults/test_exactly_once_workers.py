"""Workers that are killed, frozen or slow: each input has exactly one committed prediction."""

from __future__ import annotations

import random
import signal
import time

import psutil
import pytest

from tfkafka import Admin
from tfkafka.exactly_once import wait_until_settled
from tfkafka.testing import wait_for

SESSION_S = 6
# 300 and 400 records a second: a stage lasts, also where its test stands still for some seconds.
# The first is seldom within a transaction, the second often.
SLOW = {"records": 100, "model_s": 0.3, "stream_timeout": -1}
SMALL = {"records": 20, "model_s": 0.05, "stream_timeout": -1}
QUICK = {"session.timeout.ms": SESSION_S * 1000, "heartbeat.interval.ms": 500}


@pytest.mark.parametrize("point", ["begin", "produced", "offsets", "committed"])
def test_killed_at_a_marked_point(make_stage, spawn, point):
    stage = make_stage(6_000)
    killed = spawn(stage, kill=(point, 3))
    assert killed.end() == -signal.SIGKILL, killed.errors()
    second = spawn(stage)
    second.finish()
    stage.judge()
    # It bit: the log has predictions that do not count where it was in a transaction.
    assert stage.rejected() == (500 if point in ("produced", "offsets") else 0)
    done = 3 if point == "committed" else 2
    assert second.records == stage.records - done * 500


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"transaction_s": 60.0}, "send_offsets_to_transaction does not return"),
        ({"transaction_s": 2.0}, "a transaction does not end within 2 s"),
    ],
)
def test_a_call_that_never_returns(make_stage, spawn, limits, reason):
    """As librdkafka's own did, whatever their time-out: the same process goes on, and can end."""
    stage = make_stage(4_000)
    worker = spawn(stage, hang=3, **limits)
    worker.finish()
    stage.judge()
    # A slow broker may cost others.
    assert worker.restarts >= 1 and stage.rejected() >= 500
    assert reason in worker.errors()


@pytest.mark.timeout(1800)
def test_killed_again_and_again(make_stage, spawn, times, note_fault):
    """By turns at a random time, and within a transaction, whose records are in the log by then."""
    kills = times(4, 100)
    stage = make_stage(times(8_000, 40_000))
    chosen = random.Random(1)
    pids, commits = set(), 0
    for number in range(kills):
        within = (chosen.choice(["produced", "offsets"]), chosen.randint(1, 3))
        worker = spawn(stage, kill=within if number % 2 else None, **SMALL)
        if number % 2:
            assert worker.end() == -signal.SIGKILL, worker.errors()
        else:
            worker.wait_for_records(1)
            time.sleep(chosen.uniform(0, 0.15))  # the fault itself: at a random time
            worker.kill()
        pids.add(worker.process.pid)
        commits += len(worker.commits)
    last = spawn(stage, records=5_000)
    last.finish()
    verdict, rejected = stage.judge(), stage.rejected()
    note_fault(
        "inference: worker killed -9",
        kills,
        f"{commits} commits, {rejected:,} aborted predictions in the log",
        verdict,
    )
    assert len(pids) == kills
    assert last.records > 0
    assert rejected >= kills // 2


def test_stop_leaves_the_group_and_another_goes_on_at_once(make_stage, spawn, note_fault):
    stage = make_stage(4_000)
    first = spawn(stage, **SLOW)
    first.wait_for_records(200)
    first.send(signal.SIGTERM)
    first.finish()
    assert not stage.members()
    stopped = time.monotonic()
    second = spawn(stage, worker="2")
    second.finish()
    verdict = stage.judge()
    assert stage.rejected() == 0
    assert second.records == 4_000 - first.records
    took = second.commits[0].seconds - stopped
    proof = f"it left the group; another one started and committed within {took:.1f} s"
    note_fault("inference: worker stopped by SIGTERM", 1, proof, verdict)


def test_one_of_two_is_killed_and_the_other_takes_over(make_stage, spawn, note_fault):
    stage = make_stage(20_000)
    options = {**SLOW, "configuration": QUICK}
    first, second = spawn(stage, worker="1", **options), spawn(stage, worker="2", **options)
    first.wait_for_records(200)
    second.wait_for_records(200)
    wait_for(lambda: len(stage.members()) == 2, "both to share the partitions")
    first.kill()
    died = time.monotonic()
    # Membership is not enough: the coordinator knows of it before the survivor does. The dead
    # worker's last transaction may still be on its way.
    left = [committed + 100 for committed in stage.committed()]
    wait_for(
        lambda: all(now > before for now, before in zip(stage.committed(), left, strict=True)),
        "the survivor to go on with both partitions",
        60,
    )
    took = f"the other went on with both {time.monotonic() - died:.1f} s later"
    second.send(signal.SIGTERM)
    second.finish()
    assert second.rebalances > 1
    spawn(stage, worker="3", records=5_000).finish()
    note_fault(
        "inference: one of two workers killed -9",
        1,
        f"{took}, session {SESSION_S} s",
        stage.judge(),
    )


def test_restarted_worker_has_its_partitions_at_once(make_stage, spawn, note_fault):
    """Well before the session of its former self is over."""
    stage = make_stage(4_000)
    patient = {"session.timeout.ms": 60_000}
    first = spawn(stage, configuration=patient, **SLOW)
    first.wait_for_records(200)
    first.kill()
    second = spawn(stage, configuration=patient)
    second.finish()
    verdict = stage.judge()
    took = second.commits[0].seconds - second.started
    assert took < 60
    proof = f"first commit {took:.1f} s after its new process began, session 60 s"
    note_fault("inference: worker killed -9 and restarted", 1, proof, verdict)


def test_frozen_worker_wakes_as_a_zombie(make_stage, spawn, note_fault):
    """Another has its partitions by then: what it had in work does not count, and it goes on."""
    stage = make_stage(20_000)
    options = {**SMALL, "configuration": QUICK}
    zombie = spawn(stage, worker="1", **options)
    zombie.wait_for_records(100)
    zombie.send(signal.SIGSTOP)
    before = zombie.records
    other = spawn(stage, worker="2", **options)
    other.wait_for_records(200)
    zombie.send(signal.SIGCONT)
    zombie.wait_for_records(before + 300)
    for worker in (zombie, other):
        worker.send(signal.SIGTERM)
    zombie.finish()
    other.finish()
    spawn(stage, worker="3", records=5_000).finish()
    verdict = stage.judge()
    assert zombie.rebalances > 1
    proof = f"it joined again: {zombie.rebalances} assignments"
    note_fault("inference: worker frozen, another takes over, it wakes", 1, proof, verdict)


def test_frozen_within_a_transaction_nobody_has_taken_over(make_stage, spawn, note_fault):
    """Its membership and its transaction are over when it wakes: it is no zombie, and goes on."""
    stage = make_stage(4_000)
    worker = spawn(
        stage,
        records=100,
        stream_timeout=-1,
        freeze=("offsets", 5),
        transaction_timeout=1000,
        configuration=QUICK,
    )
    process = psutil.Process(worker.process.pid)
    wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "the worker to freeze itself", 60)
    admin = Admin(stage.servers)
    wait_for(lambda: not admin.has_members(stage.group), "the end of its membership", 60)
    wait_until_settled({"bootstrap.servers": stage.servers}, stage.predictions)
    before = worker.records
    worker.send(signal.SIGCONT)
    worker.wait_for_records(before + 1_000)
    worker.send(signal.SIGTERM)
    worker.finish()
    spawn(stage, records=5_000).finish()
    proof = f"its transaction was aborted; {worker.restarts} restarts of its clients"
    note_fault("inference: worker frozen within a transaction", 1, proof, stage.judge())


def test_zombie_of_the_same_name_is_fenced_and_stops(make_stage, spawn):
    stage = make_stage(20_000)  # enough for the time in which the zombie makes sure
    options = {**SMALL, "configuration": QUICK}
    zombie = spawn(stage, **options)
    zombie.wait_for_records(100)
    zombie.send(signal.SIGSTOP)
    second = spawn(stage, **options)
    second.wait_for_records(100)
    zombie.send(signal.SIGCONT)
    assert zombie.end() == 1, zombie.errors()
    last_line = zombie.errors().strip().splitlines()[-1]
    assert "another worker named 1 has taken over" in last_line
    before = second.records
    second.wait_for_records(before + 100)
    second.send(signal.SIGTERM)
    second.finish()
    spawn(stage, records=5_000).finish()
    stage.judge()


def test_slow_model_does_not_lose_the_membership(make_stage, spawn):
    """One call takes half as long again as max.poll.interval."""
    stage = make_stage(4_000)
    interval = {**QUICK, "max.poll.interval.ms": SESSION_S * 1000}
    worker = spawn(stage, records=500, slow_call=3, slow_s=1.5 * SESSION_S, configuration=interval)
    worker.finish()
    stage.judge()
    assert worker.restarts == 0 and worker.rebalances == 1 and not worker.errors()
    gaps = [b.seconds - a.seconds for a, b in zip(worker.commits, worker.commits[1:], strict=False)]
    assert max(gaps) > SESSION_S
    assert stage.rejected() == 0
