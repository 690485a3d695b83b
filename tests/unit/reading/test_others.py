"""Whether a member without partitions gets none."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from tfkafka.errors import ReadError
from tfkafka.reading import others
from tfkafka.reading.others import Others
from tfkafka.testing import wait_for


@pytest.fixture
def asked(monkeypatch):
    """asked(answers) -> Others that get these, one after another, at once; the last one stays."""
    monkeypatch.setattr(others, "_ASK_EVERY_S", 0.0)

    def make(*answers: bool | Exception) -> Others:
        left = list(answers)

        def answer() -> bool:
            given = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(given, Exception):
                raise given
            return given

        return Others(answer)

    return make


def test_the_time_counts_from_the_first_answer(asked):
    them = asked(False, True)
    assert them.for_s() is None
    wait_for(lambda: them.for_s() is not None, "an answer")
    wait_for(lambda: them.for_s() > 0.05, "time to pass")


def test_a_process_that_stood_still_asks_again(asked, monkeypatch):
    them = asked(True, False)
    wait_for(lambda: them.for_s() is not None, "the first answer")
    monkeypatch.setattr(others, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600))
    assert (them.for_s() or 0.0) <= 2.0
    wait_for(lambda: them.for_s() is None, "the second answer")


@pytest.mark.parametrize("answer", [False, ReadError("no answer")])
def test_another_answer_ends_the_time(asked, answer):
    them = asked(True, answer)
    wait_for(lambda: them.for_s() is not None, "the first answer")
    wait_for(lambda: them.for_s() is None, "the second answer")


def test_partitions_of_its_own_end_the_time(asked):
    them = asked(True)
    wait_for(lambda: them.for_s() is not None, "an answer")
    them.forget()
    assert them.for_s() is None
