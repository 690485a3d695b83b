"""The lag, while a broker answers and while it does not."""

from __future__ import annotations

import threading

from tfkafka.chunk import TopicPartition
from tfkafka.errors import ReadError
from tfkafka.reading.lag import Lag
from tfkafka.testing import wait_for

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


def test_what_is_left():
    lag = Lag(lambda partitions: dict.fromkeys(partitions, 10), lambda: {A: 4, B: 10})
    assert lag.ask() == {A: 6, B: 0}


def test_without_a_partition_nobody_is_asked():
    assert Lag(lambda partitions: 1 / 0, dict).ask() == {}


def test_a_partition_that_was_cut_has_none_left():
    assert Lag(lambda partitions: {A: 3}, lambda: {A: 5}).ask() == {A: 0}


def test_a_failure_is_no_answer_and_the_next_question_is_asked():
    answers = [ReadError("away"), {A: 9}]

    def ends(partitions):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lag = Lag(ends, lambda: {A: 4})
    assert lag.ask() is None
    assert lag.ask() == {A: 5}


def test_one_question_at_a_time_whose_late_answer_counts():
    asked, answered = [], threading.Event()
    committed = {A: 4}

    def ends(partitions):
        asked.append(list(partitions))
        assert answered.wait(30)
        return dict.fromkeys(partitions, 10)

    lag = Lag(ends, lambda: committed)
    assert lag.ask(0.0) is None
    assert lag.ask(0.01) is None
    committed = {A: 7, B: 0}
    answered.set()
    # B was assigned after the question.
    assert wait_for(lambda: lag.ask(0.0), "an answer") == {A: 3}
    assert asked == [[A]]
    assert lag.ask() == {A: 3, B: 10}


def test_whoever_waits_gets_no_answer_of_before():
    released, end = threading.Event(), 10

    def ends(partitions):
        found = {A: end}
        released.wait()
        return found

    lag = Lag(ends, lambda: {A: 4})
    assert lag.ask(0.0) is None
    released.set()
    wait_for(lambda: lag._asked.done(), "the late answer")
    end = 12
    assert lag.ask() == {A: 8}
