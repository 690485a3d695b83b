"""Processes that learn together end with the weights of one that learns alone."""

from __future__ import annotations

import itertools
import signal

import pytest

from tests.distributed import harness
from tests.distributed.conftest import fill, full_only
from tests.distributed.harness import HEARTBEAT_S
from tests.integration.tfkafka.test_documentation import SCALING, examples
from tfkafka import write
from tfkafka.config import FOREVER
from tfkafka.testing import wait_for

MOST_DIFFERENCE = 1e-6


def test_two_and_four_processes_learn_as_one(servers, make_topic, tmp_path):
    topic = make_topic(4)
    records = fill(servers, topic, [18_000, 12_500, 8_000, 2_750])
    assert len(records) == 40_000
    options = harness.Options(servers, topic, "", batch_size=256, mini_dataset=12_000)
    alone, *others = (
        harness.learn(options.but(folder=str(tmp_path / str(count))), count) for count in (1, 2, 4)
    )
    for ended in (alone, *others):
        assert harness.numbers(ended) == records
        assert harness.difference(alone[0], ended[0]) <= MOST_DIFFERENCE
        # The same global batches: as many steps, of as many rows, and of the same records.
        steps = [[mini["steps"] for mini in each.end["seen"]] for each in ended]
        assert all(each == steps[0] for each in steps)
        assert steps[0] == [mini["steps"] for mini in alone[0].end["seen"]]
        assert [sorted(each) for each in batches(ended)] == [sorted(b) for b in batches(alone)]


def batches(ended: list[harness.Ended]) -> list[list[int]]:
    """The records of each mini dataset, those of all processes together."""
    each = zip(*(process.end["seen"] for process in ended), strict=True)
    return [list(itertools.chain(*(mini["numbers"] for mini in minis))) for minis in each]


def test_the_number_of_processes_may_change_and_that_of_shards_may_not(
    small, never_killed, tmp_path
):
    options, records = small[0].but(folder=str(tmp_path)), small[1]
    ended = harness.start(options.but(kill=[[0, "behind state", 4]]), 2).wait()
    assert ended[0].status == -9
    # Only the first process has a folder: the others take state and plans from it.
    assert options.folder_of(0).exists() and not options.folder_of(1).exists()
    [refused] = harness.start(options.but(shards=2), 1).wait()
    assert refused.status == 1
    assert refused.error == (
        f"{options.folder_of(0)}: was begun with shards 4, and this is 2: give the same, or "
        f"another folder"
    )
    [rest] = harness.learn(options, 1)
    assert len(rest.end["seen"]) == 2 and rest.end["records"] == len(records)
    assert harness.difference(never_killed, rest) <= MOST_DIFFERENCE


def test_what_fails_in_one_process_ends_all_with_one_line(small, tmp_path):
    options = small[0].but(folder=str(tmp_path))
    # Asked for by each process, but the first one may well be alone with the answer.
    ended = harness.start(options.but(topic="there-is-none"), 2).wait()
    assert [each.status for each in ended] == [1, 1]
    assert all("there-is-none" in each.error for each in ended)
    # Whose folder is in use.
    options.folder_of(0).mkdir(exist_ok=True)
    options.folder_of(0).chmod(0o755)
    (options.folder_of(0) / "state-0000000000.ckpt").write_bytes(b"no state")
    first, second = harness.start(options, 2).wait()
    assert (first.status, second.status) == (1, 1)
    assert first.error.endswith("every state is damaged: delete the folder to start again")
    assert second.error == f"process 0 of 2 failed, and all end: {first.error}"


@pytest.mark.parametrize("victim", [pytest.param(0, marks=full_only), 1])
def test_what_only_one_process_raises_ends_the_others(small, tmp_path, victim):
    ended = harness.start(small[0].but(folder=str(tmp_path), fail=[victim, "train"]), 2).wait()
    assert [each.status for each in ended] == [1, 1]
    assert f"RuntimeError: process {victim} fails at train" in ended[victim].said
    other = ended[1 - victim]
    assert other.error.startswith(f"process {1 - victim} of 2: another one has ended (")
    assert other.at_s - ended[victim].at_s <= HEARTBEAT_S + 2


def test_processes_that_learn_otherwise_are_refused(small, tmp_path):
    ended = harness.start(small[0].but(folder=str(tmp_path), seeds=[7, 8]), 2).wait()
    assert [each.status for each in ended] == [1, 1]
    line = "seed is 7 in process 0 and 8 in process 1: start all of them with the same command"
    assert all(f"ValueError: {line}" in each.said for each in ended)


def test_the_example_of_the_documentation(servers, topic, tmp_path):
    write(servers, topic, [",".join([str(n / 1000)] * 18) for n in range(1000)], ["1"] * 1000)
    [block] = [each for each in examples(SCALING) if "jax.distributed" in each]
    for documented, name in {
        "susy-train": topic,
        "localhost:9092": servers,
        "state": str(tmp_path / "state"),
    }.items():
        block = block.replace(f'"{documented}"', repr(name))
    script, address = tmp_path / "learn_together.py", harness.coordinator()
    script.write_text(block)
    commands = [[str(script), str(index), "2", address] for index in range(2)]
    first, second = harness.Run(tmp_path, commands).wait()
    assert (first.status, second.status) == (0, 0), first.said + second.said
    assert "mini dataset 2: 500 records, 1,000 in all; before training accuracy" in first.said
    assert "mini dataset" not in second.said


@full_only
def test_sigterm_to_one_of_them_ends_all_and_they_wait_for_records_until_then(small, tmp_path):
    options = small[0].but(folder=str(tmp_path), stream_timeout=FOREVER, judged=True, metered=True)
    run = harness.start(options, 2)
    try:
        wait_for(lambda: "mini dataset 5" in run.said(0), "all records", harness.DEADLINE_S)
        run.processes[1].send_signal(signal.SIGTERM)
        first, second = run.wait()
    finally:
        run.stop()
    assert (first.status, second.status) == (0, 0), first.said + second.said
    assert first.end["weights"] == second.end["weights"]
    assert first.end["history"] == second.end["history"]
    # Each mini dataset has judged the model before it, and so the last one is not exported.
    exported = sorted(path.name[:16] for path in options.folder_of(0).glob("exports/*.keras"))
    assert exported == [f"model-{number:010}" for number in range(5)]
    assert "the model of 5 mini datasets is not exported yet" in first.said
    assert all(each.said.count("metrics: port ") == 1 for each in (first, second))
