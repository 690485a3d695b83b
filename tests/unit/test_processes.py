"""What a forked child has lost is known there, whoever used it and however short before."""

from __future__ import annotations

import os

import pytest

from tfkafka._util.processes import LostThreads, close_in_children
from tfkafka.errors import ForkError


def is_refused_in_child(threads: LostThreads) -> bool:
    child = os.fork()
    if not child:
        try:
            threads.refuse("it")
        except ForkError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.parametrize("are_seen", [False, True])
@pytest.mark.parametrize("are_used", [False, True])
def test_threads_are_lost_that_are_seen_or_used(are_seen, are_used):
    threads = LostThreads("a library", lambda: are_seen)
    if are_used:
        threads.refuse("it")
    assert is_refused_in_child(threads) == (are_seen or are_used)
    threads.refuse("the parent")


def test_only_the_copy_in_a_child_is_closed(tmp_path):
    with (tmp_path / "held").open("w") as held:
        close_in_children(held)
        child = os.fork()
        if not child:
            os._exit(0 if held.closed else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not held.closed
