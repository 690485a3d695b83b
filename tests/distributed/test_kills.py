"""Processes that are killed -9 while they learn: all end, and the same command continues.

The weights at the end are those of processes that were never killed, bit by bit.
"""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.distributed import harness
from tests.distributed.conftest import full_only
from tests.distributed.harness import HEARTBEAT_S, Options
from tfkafka.config import FOREVER
from tfkafka.testing import wait_for

# Within this time after a death all others have ended.
END_S = HEARTBEAT_S + 2
# As many points as a process passes by in two mini datasets; only the first one saves.
POINTS = {0: 24, 1: 12}


def finish(options: Options, never_killed: harness.Ended) -> None:
    """Start the same command once more: it goes to the end, and all is as without a kill."""
    end = harness.learn(options.but(kill=[]), 2)[0].end
    for name in ("weights", "mini_datasets", "records", "positions", "history", "counts"):
        assert end[name] == never_killed.end[name], name


def is_explained(survivor: harness.Ended, index: int) -> bool:
    """Whether it has ended with a reason: ours, or JAX's where that has noticed first.

    JAX is first where it was its service that died, and where the two were about to connect.
    """
    if survivor.status == -signal.SIGABRT:
        return "the JAX distributed service detected fatal errors" in survivor.said
    return (
        survivor.status == 1
        and survivor.error.startswith(f"process {index} of 2: another one has ended (")
        and "start all of them again with the same command" in survivor.error
    )


@pytest.mark.timeout(3600)
def test_each_is_killed(small, never_killed, times, tmp_path, record_property):
    rng, wanted, waits_s = random.Random(11), times(1, 10), []
    victims = [0, 1] * wanted
    runs = by_jax = 0
    while victims:
        options = small[0].but(folder=str(tmp_path / str(runs)))
        while victims:
            victim = victims[0]
            moment = [victim, "any", rng.randint(1, POINTS[victim])]
            ended = harness.start(options.but(kill=[moment]), 2).wait()
            if [each.status for each in ended] == [0, 0]:
                break
            assert ended[victim].status == -9, ended[victim].said
            survivor = ended[1 - victim]
            assert is_explained(survivor, 1 - victim), survivor.said
            waits_s.append(survivor.at_s - ended[victim].at_s)
            by_jax += survivor.status == -signal.SIGABRT
            victims.pop(0)
        finish(options, never_killed)
        runs += 1
    record_property("seconds from a death to the end of all", max(waits_s))
    assert max(waits_s) <= END_S
    print(
        f"{len(waits_s)} kills in {runs} runs; all ended {max(waits_s):.1f} s after each at most; "
        f"JAX ended the other one {by_jax} times"
    )


@full_only
@pytest.mark.parametrize("frozen", [0, 1])
def test_one_that_vanishes_without_a_word_ends_the_others_too(small, tmp_path, frozen):
    """As a machine does that loses its network: nothing closes its connections."""
    run = harness.start(small[0].but(folder=str(tmp_path), stream_timeout=FOREVER), 2)
    try:
        wait_for(lambda: "mini dataset 5" in run.said(0), "all records", harness.DEADLINE_S)
        run.processes[frozen].send_signal(signal.SIGSTOP)
        begun_s = time.monotonic()
        run.processes[1 - frozen].wait(harness.DEADLINE_S)
        assert time.monotonic() - begun_s <= END_S
    finally:
        run.stop()
