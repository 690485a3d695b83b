"""What a forked child has lost is known there, whoever used it and however short before."""

from __future__ import annotations

import os

import pytest

from tfkafka._util.processes import LostThreads
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
