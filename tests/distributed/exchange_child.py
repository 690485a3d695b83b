"""Print what one of two processes learns of the other: exchange_child.py INDEX ADDRESS."""

from __future__ import annotations

import json
import sys

import jax

from tests.distributed.harness import HEARTBEAT_S

index = int(sys.argv[1])
jax.distributed.initialize(sys.argv[2], 2, index, heartbeat_timeout_seconds=HEARTBEAT_S)

from tfkafka.errors import TfkafkaError, TopicError  # noqa: E402
from tfkafka.online.processes import Processes  # noqa: E402
from tfkafka.reading import jax_processes  # noqa: E402
from tfkafka.testing import wait_for  # noqa: E402

FAR = 2**40 + 3
# So that a state of a few kilobytes goes in several messages.
jax_processes.MESSAGE_BYTES = 1000

told: list[object] = []
processes = Processes(index, 2, lambda: bool(told) and index == 1)


def refuse() -> None:
    if index == 1:
        raise TopicError("no such\ntopic")


found: dict[str, object] = {
    "plan": processes.first(lambda: [["t", 0, FAR, FAR + 5, None]]),
    "each": processes.each(lambda: {"mine": index * FAR}),
    "numbers": jax_processes.numbers_of_each_process([-index, FAR]).tolist(),
    "state": processes.sent(lambda: bytes(range(256)) * 17) == bytes(range(256)) * 17,
    "nothing": processes.sent(lambda: b"") == b"",
}
try:
    processes.each(refuse)
except TfkafkaError as error:
    found["error"] = f"{type(error).__name__}: {error}"
# The second process shall stop; the first one, which is busy, hears of it.
told.append("stop")
processes.first(lambda: wait_for(processes.is_stopped, "the other to be told to stop", 30.0))
print(json.dumps(found | {"stopped": processes.is_stopped()}))
