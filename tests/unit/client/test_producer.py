"""A producer that gets no connection."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests import fillers
from tests.unit.client.listeners import server, ssh
from tfkafka import write
from tfkafka.client import producer, record_writer
from tfkafka.errors import WriteError
from tfkafka.testing import wait_for


@pytest.fixture(autouse=True)
def python_writer(monkeypatch) -> None:
    """The native one needs a true client."""
    fillers.use(monkeypatch, "python")


def test_a_producer_that_failed_ends_soon(monkeypatch):
    """Not after the writer's own time-out, until when it would try to log in."""
    monkeypatch.setattr(producer, "ASK_S", 0.5)
    with server(ssh) as address:
        before = {*threading.enumerate()}
        with pytest.raises(WriteError, match="it speaks another protocol"):
            write(address, "t", ["1"])
        wait_for(lambda: before.issuperset(threading.enumerate()), "its threads to end", 60)


def test_several_questions_may_time_out(monkeypatch):
    """A broker that is silent for longer than one question is waited for."""
    monkeypatch.setattr(producer, "ASK_S", 0.1)
    questions = []

    class Silent:
        def __init__(self, _settings: dict[str, object]):
            pass

        def poll(self, _timeout: float) -> int:
            return 0

        def list_topics(self, timeout: float) -> object:
            questions.append(timeout)
            if len(questions) < 3:
                raise producer.KafkaException(
                    producer.KafkaError(producer.KafkaError._TRANSPORT, "no answer")
                )
            raise KeyboardInterrupt

    monkeypatch.setattr(record_writer.confluent_kafka, "Producer", Silent)
    with pytest.raises(KeyboardInterrupt):
        producer.Producer({"bootstrap.servers": "127.0.0.1:1"}, 30.0).connect("t")
    assert questions == [0.1] * 3


class Fatal:
    """Has been refused its id: raises the cause once, out of the third poll, as the client does."""

    def __init__(self, _settings: dict[str, object]):
        self._polls = 0

    def list_topics(self, timeout: float) -> object:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "no answer"))

    def produce(self, *_args: object, **_options: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def poll(self, _timeout_s: float) -> int:
        self._polls += 1
        if self._polls == 3:
            raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, fatal=True))
        return 0

    def purge(self) -> None:
        pass


@pytest.mark.parametrize(
    "call", [lambda it: it.send("t", [[("v", None, None)]]), lambda it: it.connect("t")]
)
def test_the_cause_of_a_fatal_error_comes_once_out_of_poll(monkeypatch, call):
    monkeypatch.setattr(record_writer.confluent_kafka, "Producer", Fatal)
    with pytest.raises(WriteError, match="grant this user WRITE on topic t"):
        call(producer.Producer({"bootstrap.servers": "h:1"}))


def test_a_fatal_error_while_acknowledgements_are_awaited(monkeypatch):
    class Refused(Fatal):
        def produce(self, *_args: object, **_options: object) -> None:
            pass

        def flush(self, _timeout_s: float) -> int:
            raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, fatal=True))

        def __len__(self) -> int:
            return 1

    monkeypatch.setattr(record_writer.confluent_kafka, "Producer", Refused)
    words = "topic t: not all records were acknowledged: .*grant this user WRITE on topic t"
    with pytest.raises(WriteError, match=words):
        producer.Producer({"bootstrap.servers": "h:1"}).send("t", [[("v", None, None)]])


def test_a_topic_that_another_broker_has_is_no_missing_one(monkeypatch):
    """That of the client may hear of a new topic a moment later."""

    class Old(Fatal):
        def list_topics(self, timeout: float) -> object:
            return SimpleNamespace(topics={})

    monkeypatch.setattr(record_writer.confluent_kafka, "Producer", Old)
    monkeypatch.setattr(producer.Cluster, "describe", lambda _cluster, topic: topic)
    producer.Producer({"bootstrap.servers": "h:1"}).connect("t")
