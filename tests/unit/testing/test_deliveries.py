"""What `kafka_deliveries` says of what was sent and delivered."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

from tfkafka.testing.deliveries import Deliveries


@pytest.fixture
def deliveries() -> Deliveries:
    return Deliveries()


def complaint(deliveries: Deliveries, *allowed: str) -> list[str]:
    """What `check` says, line by line; none where nothing is wrong."""
    try:
        deliveries.check(*allowed)
    except AssertionError as error:
        return str(error).splitlines()[1:]
    return []


def test_text_and_bytes_are_the_same_in_any_order(deliveries):
    deliveries.sent("t", ["a", b"b", "ä"])
    deliveries.delivered("t", np.array([b"b", "ä".encode()], object))
    deliveries.delivered("t", iter(["a"]))
    assert complaint(deliveries) == []


def test_equal_values_are_counted(deliveries):
    deliveries.sent("t", ["a", "a", "a"])
    deliveries.delivered("t", ["a", "a"])
    assert complaint(deliveries) == ["1 lost: b'a' (t)"]
    deliveries.delivered("t", ["a", "a"])
    assert complaint(deliveries) == ["1 delivered twice or more: b'a' (t)"]


def test_what_is_recorded_as_sent_may_have_been_delivered_before(deliveries):
    """A consumer in another thread may be faster than the producer's thread."""
    deliveries.delivered("t", ["a", "b", "b", "c", "c", "d"])
    assert complaint(deliveries, "phantom", "duplicated") == []
    deliveries.sent("t", ["a", "b", "b", "c"])
    assert complaint(deliveries) == [
        "1 delivered twice or more: b'c' (t)",
        "1 never sent: b'd' (t)",
    ]


def test_topics_are_told_apart(deliveries):
    deliveries.sent("one", ["a"])
    deliveries.delivered("two", ["a"])
    assert complaint(deliveries) == ["1 lost: b'a' (one)", "1 never sent: b'a' (two)"]


def test_what_is_allowed_is_no_complaint(deliveries):
    deliveries.sent("t", ["a", "b"])
    deliveries.delivered("t", ["a", "a", "c"])
    assert complaint(deliveries, "duplicated", "phantom") == ["1 lost: b'b' (t)"]
    assert complaint(deliveries, "duplicated", "phantom", "lost") == []
    with pytest.raises(ValueError, match="allowed is 'twice', must be one of 'lost', "):
        deliveries.check("twice")


def test_everything_that_was_recorded_is_judged_once(deliveries):
    assert deliveries.checked
    deliveries.sent("t", ["a"])
    assert not deliveries.checked
    assert complaint(deliveries) and deliveries.checked
    deliveries.delivered("t", ["a"])
    assert not deliveries.checked


def test_what_was_not_judged_is_at_the_end_of_with():
    with pytest.raises(AssertionError, match="1 lost: b'a'"), Deliveries() as deliveries:
        deliveries.sent("t", ["a"])
    with Deliveries() as deliveries:
        deliveries.sent("t", ["a"])
        deliveries.check("lost")


def test_an_error_within_with_is_not_replaced():
    with pytest.raises(ZeroDivisionError), Deliveries() as deliveries:
        deliveries.sent("t", ["a"])
        _ = 1 / 0


def test_only_the_first_of_many_are_named(deliveries):
    deliveries.sent("t", map(str, range(5000)))
    [line] = complaint(deliveries)
    assert line.startswith("5,000 lost: b'0' (t), b'1' (t),") and line.count("(t)") == 20


def test_threads_may_record(deliveries):
    values = [[f"{thread}-{number}" for number in range(300)] for thread in range(4)]

    def record(own: list[str]) -> None:
        for value in own:
            deliveries.sent("t", [value])
            deliveries.delivered("t", [value])

    threads = [Thread(target=record, args=[own]) for own in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert complaint(deliveries) == []


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("abc", "values is 'abc', must be a list"),
        ([1.5], r"values\[0\] is 1.5, must be text or bytes"),
        (["a", None], r"values\[1\] is None"),
    ],
)
def test_what_is_no_list_of_values_is_refused(deliveries, wrong, what):
    with pytest.raises(TypeError, match=what):
        deliveries.sent("t", wrong)
