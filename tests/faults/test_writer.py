"""A writer that is killed in the middle and run again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter

from tests.faults.harness import DEADLINE_S, ROOT
from tfkafka.config import Limits
from tfkafka.reading.ranges import read, resolve

RECORDS = 20_000
WRITER = """
import os, signal, sys
from tfkafka import Admin
from tfkafka.testing import wait_for
from tfkafka import write

servers, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
killed = sys.argv[4] == "killed"

def values():
    for number in range(records):
        if killed and number == records // 2:
            wait_for(lambda: Admin(servers).record_count(topic) > 0, "the first records")
            os.kill(os.getpid(), signal.SIGKILL)
        yield str(number)

write(servers, topic, values())
"""


def _write(servers: str, topic: str, how: str) -> int:
    command = [sys.executable, "-c", WRITER, servers, topic, str(RECORDS), how]
    return subprocess.run(command, cwd=ROOT, timeout=DEADLINE_S).returncode


def _numbers(servers: str, topic: str) -> list[int]:
    settings = {"bootstrap.servers": servers}
    chunks = read(resolve(settings, Limits(), topic, [0]), settings, Limits())
    return [int(value) for chunk in chunks for value in chunk.values.entries]


def test_a_second_run_writes_all_once_more(kafka, topic):
    """Idempotence is of one producer: what the killed one wrote stays, and comes again.

    So scripts/05_write_to_kafka.py refuses a topic that has records
    (tests/integration/test_scripts_bad_input.py).
    """
    servers = kafka.bootstrap_servers
    assert _write(servers, topic, "killed") == -signal.SIGKILL
    first = _numbers(servers, topic)
    assert 0 < len(first) < RECORDS
    assert first == [*range(len(first))]
    assert _write(servers, topic, "whole") == 0
    counts = Counter(_numbers(servers, topic))
    assert counts == Counter(range(RECORDS)) + Counter(first)
