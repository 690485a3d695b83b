"""A broker that is killed, frozen or cut off while a worker is at work."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.proxy import Proxy
from tfkafka.testing import wait_for

# Small transactions: a stage lasts for 10 s, also where its test stands still meanwhile.
RUN = {"records": 20, "stream_timeout": -1, "model_s": 0.02}


def process_of(broker) -> int:
    return broker.state.kafka.pid


@pytest.mark.timeout(1800)
def test_broker_killed_and_restarted(kafka, make_stage, spawn, times, note_fault):
    """Progress again after each death, in the same process of the worker."""
    kills = times(1, 20)
    stage = make_stage(times(8_000, 40_000))
    worker = spawn(stage, **RUN)
    chosen, pids, waits = random.Random(2), {process_of(kafka)}, []
    for _ in range(kills):
        worker.wait_for_records(min(worker.records + 200, stage.records // 2))
        time.sleep(chosen.uniform(0, 0.3))  # the fault itself: at a random time
        kafka.kill()
        kafka.restart()
        back, before = time.monotonic(), worker.records
        pids.add(process_of(kafka))
        wait_for(lambda before=before: worker.records > before, "progress", 60)
        waits.append(worker.commits[-1].seconds - back)
    worker.send(signal.SIGTERM)
    worker.finish()
    spawn(stage, records=5_000).finish()
    verdict = stage.judge()
    assert len(pids) == kills + 1
    note_fault(
        "inference: broker killed -9 and restarted",
        kills,
        f"another pid each time; progress {max(waits):.1f} s after its return at most, "
        f"{stage.rejected():,} aborted predictions in the log",
        verdict,
    )


def test_broker_frozen_longer_than_the_session(kafka, make_stage, spawn, note_fault):
    stage = make_stage(8_000)
    session_s = 6
    quick = {"session.timeout.ms": session_s * 1000, "heartbeat.interval.ms": 500}
    worker = spawn(stage, configuration=quick, **RUN)
    worker.wait_for_records(200)
    kafka.pause()
    try:
        time.sleep(1.2 * session_s)  # the fault itself
        before, frozen_until = worker.records, time.monotonic()
    finally:
        kafka.resume()
    worker.wait_for_records(before + 200)
    worker.send(signal.SIGTERM)
    worker.finish()
    spawn(stage, records=5_000).finish()
    verdict = stage.judge()
    gap = max(
        b.seconds - a.seconds for a, b in zip(worker.commits, worker.commits[1:], strict=False)
    )
    assert gap > session_s
    waited = next(c.seconds for c in worker.commits if c.records > before) - frozen_until
    note_fault(
        "inference: broker frozen for longer than the session",
        1,
        f"no commit for {gap:.1f} s, the next one {waited:.1f} s after the thaw",
        verdict,
    )


def test_connections_cut(kafka, make_stage, spawn, note_fault):
    proxy = Proxy(kafka.bootstrap_servers)
    stage = make_stage(8_000)
    worker = spawn(stage, servers=proxy.bootstrap_servers, **RUN)
    for _ in range(5):
        worker.wait_for_records(worker.records + 100)
        proxy.cut()
    worker.wait_for_records(worker.records + 100)
    proxy.refuse()
    before = worker.records
    time.sleep(3)  # the fault itself: no network for a while
    proxy.allow()
    worker.wait_for_records(before + 300)
    worker.send(signal.SIGTERM)
    worker.finish()
    proxy.close()
    spawn(stage, records=5_000).finish()
    verdict = stage.judge()
    assert proxy.cuts >= 12
    proof = f"counted by the proxy; no network for 3 s, {worker.restarts} restarts of the clients"
    note_fault("inference: connections cut", proxy.cuts, proof, verdict)


def test_no_broker_is_one_clear_line(kafka, make_stage, spawn):
    """The broker does not come back in time: the worker says so and fails."""
    proxy = Proxy(kafka.bootstrap_servers)
    stage = make_stage(8_000)
    worker = spawn(
        stage, servers=proxy.bootstrap_servers, broker_timeout=10_000, progress_s=1.0, **RUN
    )
    worker.wait_for_records(300)
    proxy.close()
    assert worker.end() == 1
    assert "nothing could be committed for 10 s" in worker.errors().strip().splitlines()[-1]
