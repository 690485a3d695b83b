"""What processes that learn together send each other."""

from __future__ import annotations

import json

from tests.distributed import harness

FAR = 2**40 + 3


def test_offsets_states_errors_and_an_order_to_stop_are_known_to_both(tmp_path):
    address = harness.coordinator()
    child = "tests.distributed.exchange_child"
    commands = [[child, str(index), address] for index in range(2)]
    ended = harness.Run(tmp_path, commands).wait()
    assert [each.status for each in ended] == [0, 0], ended[0].said + ended[1].said
    first, second = (json.loads(each.said.splitlines()[-1]) for each in ended)
    assert first.pop("error") == "ProcessError: process 1 of 2 failed, and all end: no such topic"
    assert second.pop("error") == "TopicError: no such\ntopic"
    assert (
        first
        == second
        == {
            "plan": [["t", 0, FAR, FAR + 5, None]],
            "each": [{"mine": 0}, {"mine": FAR}],
            "numbers": [[0, FAR], [-1, FAR]],
            "state": True,
            "nothing": True,
            "stopped": True,
        }
    )
