"""What counts as silence: the time in which somebody has listened."""

from __future__ import annotations

from tfkafka._util.silence import Silence


def test_short_waits_count_in_full_until_something_is_heard():
    silence = Silence()
    for _ in range(3):
        silence.waited(0.25)
    assert silence.seconds == 0.75
    silence.end()
    assert silence.seconds == 0.0


def test_a_process_that_stood_still_has_not_listened():
    silence = Silence()
    silence.waited(3600)
    silence.waited(3600, most=10)
    assert silence.seconds == 11.0
