"""What belongs to a parent works in a forked child, or is refused in one line: it never hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import groups, isolated
from tests.integration.tfkafka import fork_cases
from tests.integration.tfkafka.records import numbers
from tfkafka import native

ROOT = Path(__file__).parents[3]
# On a busy machine. A call that waits for librdkafka's lost threads takes up to 60 s, and is ended
# after 20 s.
AT_ONCE_S = 18.0


def refused(outcome: fork_cases.Outcome, *words: str) -> None:
    lines = [line for line in outcome.error.splitlines() if "ForkError: " in line]
    assert lines, outcome
    assert all(word in lines[0] for word in words), outcome
    assert outcome.seconds < AT_ONCE_S, outcome


def worked(outcome: fork_cases.Outcome, value: object) -> None:
    assert (outcome.value, outcome.error) == (value, "")


def test_children_of_a_parent_that_has_parsed_nothing(servers, topic):
    outcomes = isolated.run(fork_cases.before_polars_is_used, servers, topic, deadline_s=120)
    refused(outcomes["admin"], "AdminClient", "belongs to process", "create")
    worked(outcomes["write"], 1)
    for name in ("raw", "decoded", "decoded, made in the child"):
        worked(outcomes[name], 500)
    worked(outcomes["two children at the same time"], True)


def test_children_of_a_parent_that_has_used_everything(servers, make_topic, group):
    outcomes = isolated.run(
        fork_cases.after_all_was_used, servers, make_topic(), make_topic(), group, deadline_s=240
    )
    refused(outcomes["admin"], "AdminClient", "belongs to process", "create")
    worked(outcomes["write"], 1)
    worked(outcomes["write_kafka"], b"1,1")
    worked(outcomes["raw"], 50)
    worked(outcomes["raw, made in the child"], 50)
    if native.library() is None:
        for name in ("decoded", "decoded, made in the child", "worker"):
            refused(outcomes[name], "CsvDecoder uses polars", "forkserver")
    else:
        worked(outcomes["decoded"], 500)
        assert outcomes["decoded, made in the child"].value > 500, outcomes
        assert outcomes["worker"].error == "" and outcomes["worker"].value.read > 0, outcomes
    assert outcomes["group, made in the child"].value >= 500, outcomes["group, made in the child"]
    for name in ("the parent's iteration", "the parent's stream", "the parent's mini datasets"):
        refused(outcomes[name], "begin to iterate again")
    refused(outcomes["commit"], "begin to iterate again")
    worked(outcomes["close"], None)
    refused(outcomes["learn"], "learn uses TensorFlow", "forkserver")
    worked(outcomes["parent"], (True, True))


ENDS = """
import os, sys
from tfkafka import Admin, KafkaGroupDataset
earliest = ["auto.offset.reset=earliest"]
iterator = iter(KafkaGroupDataset(sys.argv[2], sys.argv[3], sys.argv[1], -1, earliest))
next(iterator)
admin = Admin(sys.argv[1])
if not (child := os.fork()):
    sys.exit(7)
print(os.waitpid(child, 0)[1] >> 8, admin.has_members(sys.argv[3]), flush=True)
sys.exit(5)
"""


def test_at_exit_a_parent_leaves_its_group_and_a_child_does_not(kafka, admin, topic, group):
    numbers(kafka.bootstrap_servers, topic, 3)
    command = [sys.executable, "-c", ENDS, kafka.bootstrap_servers, topic, group]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (5, "7 True\n"), done.stderr[-2000:]
    groups.wait_until_left(admin, group)


def test_a_test_that_forks_by_itself(servers, topic):
    """As plugins of pytest do that run each test in a child."""
    numbers(servers, topic, 3)
    for _ in range(2):
        outcome = fork_cases.in_child(fork_cases.read_values, servers, topic)
        worked(outcome, [b"0", b"1", b"2"])
