"""What counts as silence: the time in which somebody has listened."""

from __future__ import annotations

import time

from tfkafka.reading.silence import Silence


def test_short_waits_count_in_full_until_something_is_heard():
    silence = Silence()
    for _ in range(3):
        silence.waited(time.monotonic() - 0.25)
    assert 0.75 <= silence.seconds < 3.0
    silence.end()
    assert silence.seconds == 0.0


def test_a_process_that_stood_still_has_not_listened():
    silence = Silence()
    silence.waited(time.monotonic() - 3600)
    assert silence.seconds == 1.0
