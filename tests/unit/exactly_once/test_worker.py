"""What a worker of exactly-once inference refuses before it begins."""

from __future__ import annotations

import threading

import pytest

from tests.unit.client.listeners import server, silent
from tfkafka import CsvDecoder
from tfkafka.errors import CommitError, ReadError, TransactionError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, worker


def job(topics="in", predictions_topic="out", **options):
    return InferenceJob(
        lambda rows: rows, CsvDecoder(1), topics, predictions_topic, "group", **options
    )


@pytest.mark.parametrize(
    "argument", [{"transaction_records": 0}, {"transaction_wait": -1}, {"stream_timeout": -2}]
)
def test_bad_arguments(argument):
    with pytest.raises(ValueError, match=f"{next(iter(argument))} is"):
        ExactlyOnceInference(job(), **argument)


def test_dead_letter_without_a_topic():
    with pytest.raises(ValueError, match="go together"):
        job(on_bad_record="dead_letter")


def test_one_topic_is_a_list_of_one():
    assert job("in").topics == ["in"]
    assert job(["in", "more"]).topics == ["in", "more"]


@pytest.mark.parametrize("topics", ["out", ["in", "out"], ["^o.*"]])
def test_predictions_that_would_be_read_again_are_refused(topics):
    with pytest.raises(ValueError, match="predictions_topic is 'out', which is read"):
        job(topics)


@pytest.mark.parametrize("dead", ["in", "out"])
def test_dead_letters_among_other_records_are_refused(dead):
    with pytest.raises(ValueError, match=f"dead_letter_topic is '{dead}', which is"):
        job(on_bad_record="dead_letter", dead_letter_topic=dead)


def test_every_group_and_worker_have_ids_of_their_own():
    """A worker that takes another's transactional id ends the other's transactions."""
    names = ["a", "b", "a-b", "b-a", "-", "a-", "-b", "%2D", "%", "2D"]
    jobs = [
        InferenceJob(lambda rows: rows, CsvDecoder(1), "in", "out", group, worker)
        for group in names
        for worker in names
    ]
    ids = {f"{each.transactional_id}-{turn}" for each in jobs for turn in (0, 1)}
    assert len(ids) == 2 * len(names) ** 2
    # Rights on the prefix of a group's ids are rights of all its workers.
    assert all(each.transactional_id.startswith(f"{each.group_id}-") for each in jobs)
    assert job(worker="1").transactional_id == "group-1"


@pytest.mark.parametrize("name", ["group_id", "worker"])
def test_what_a_transaction_cannot_take_as_a_name_is_refused(name):
    """librdkafka refuses it only after predicting: "Input buffer group id is not safe"."""
    names = {"group_id": "g", "worker": "1"} | {name: "grüße"}
    with pytest.raises(ValueError, match=f"^{name} is 'grüße', must be text of printable ASCII"):
        InferenceJob(lambda rows: rows, CsvDecoder(1), "in", "out", **names)


def test_a_broker_may_be_silent_for_broker_timeout_at_the_start():
    with server(silent) as servers:
        worker = ExactlyOnceInference(job(), servers, broker_timeout=700)
        with pytest.raises(ReadError, match=rf"topic in: no answer .* at {servers} for 700 ms"):
            worker.run()


def test_stopping_does_not_wait_for_a_silent_broker():
    connected, worker = threading.Event(), None

    def stop(connection) -> None:
        connected.set()
        worker.stop()
        silent(connection)

    with server(stop) as servers:
        worker = ExactlyOnceInference(job(), servers, broker_timeout=3_600_000)
        assert worker.run().used == 0
    assert connected.is_set()


def test_a_group_without_a_coordinator_is_joined_again_for_a_while(monkeypatch):
    class FakePipeline:
        rebalances = missing = attempts = 0

        def __init__(self, *_arguments, **_options):
            pass

        def run(self):
            FakePipeline.attempts += 1
            raise CommitError("no coordinator")

        def close(self):
            pass

    monkeypatch.setattr(worker, "Pipeline", FakePipeline)
    monkeypatch.setattr(worker, "refuse_missing_topics", lambda *_: None)
    working = ExactlyOnceInference(job(), "localhost:1", broker_timeout=50)
    with pytest.raises(TransactionError, match=r"nothing could be committed.*no coordinator"):
        working.run()
    assert FakePipeline.attempts == working.restarts == 2
