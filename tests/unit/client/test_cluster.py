"""Questions to a cluster: asked again while it may help, and what is raised when it does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from tfkafka.client import cluster, codes
from tfkafka.client.cluster import Cluster
from tfkafka.errors import BrokerError, ReadError, TopicError


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def make(monkeypatch):
    """make(**options) -> a Cluster that is asked for 2 s; its settings are at `.client`."""
    monkeypatch.setattr(cluster, "time", Clock())
    monkeypatch.setattr(cluster.create, "make_client", lambda _kind, settings: settings)
    return lambda **options: Cluster({"bootstrap.servers": "h:1"}, 2000, **options)


def failing(*codes_of_errors: int, answer: object = 7):
    """A question that fails once with each of these codes, then has an answer."""
    left = list(codes_of_errors)

    def question(_timeout_s: float):
        if left:
            raise KafkaException(KafkaError(left.pop(0), "reason"))
        return answer

    return question


def forever(code: int):
    def question(_timeout_s: float):
        raise KafkaException(KafkaError(code, "reason"))

    return question


@pytest.mark.parametrize("code", sorted(codes.TRANSIENT))
def test_what_passes_is_asked_again(make, code):
    assert make().ask("what", failing(code, code), "t") == 7


@pytest.mark.parametrize("code", sorted(codes.MISSING))
def test_a_missing_topic_is_named_at_once(make, code):
    with pytest.raises(TopicError, match="there is no topic t on h:1: create it first"):
        make().ask("what", failing(code), "t")
    with pytest.raises(ReadError, match="what: reason"):
        make().ask("what", failing(code))


@pytest.mark.parametrize("code", sorted(codes.REFUSED))
def test_a_refusal_is_raised_at_once(make, code):
    with pytest.raises(ReadError, match=r"^what: reason$"):
        make().ask("what", failing(code), "t")
    with pytest.raises(BrokerError, match=r"^what: reason$"):
        make(error=BrokerError).ask("what", failing(code), "t")


def test_what_passes_may_be_said(make):
    code = KafkaError.UNKNOWN_TOPIC_OR_PART
    passing = codes.TRANSIENT | codes.NOT_YET_LED
    assert make().ask("what", failing(code, code), "t", passing=passing) == 7
    with pytest.raises(ReadError, match=r"what: no answer .* for 2000 ms \(reason\)"):
        make().ask("what", forever(code), "t", passing=passing)


def test_after_the_time_out_the_last_reason_is_given(make):
    asked = make()
    with pytest.raises(
        ReadError, match=r"^what: no answer from Kafka at h:1 for 2000 ms \(reason\)$"
    ):
        asked.ask("what", forever(KafkaError._TIMED_OUT))
    assert cluster.time.now == pytest.approx(102, abs=0.11)
    asked.client["error_cb"](KafkaError(KafkaError._TRANSPORT, "connection refused"))
    with pytest.raises(ReadError, match=r"\(connection refused\)$"):
        asked.ask("what", forever(KafkaError._TIMED_OUT))
    with pytest.raises(ReadError, match=r"\(reason\)$"):
        asked.ask("what", forever(KafkaError.COORDINATOR_NOT_AVAILABLE))


def test_a_future_that_does_not_come_is_a_time_out(make):
    def hang(_timeout_s: float):
        raise TimeoutError

    with pytest.raises(ReadError, match=r"\(no answer\)"):
        make().ask("what", hang)
    with pytest.raises(BrokerError, match="what reason"):
        make(unreachable=lambda what, _: BrokerError(f"{what} reason")).ask("what", hang)


def test_a_deleted_topic():
    def client(code):
        error = None if code is None else KafkaError(code)
        topics = {"t": SimpleNamespace(error=error)}
        return SimpleNamespace(list_topics=lambda _topic, timeout: SimpleNamespace(topics=topics))

    for code in codes.MISSING:
        assert cluster.is_deleted(client(code), "t", 1.0)
    for code in (None, *codes.TRANSIENT, *codes.REFUSED):
        assert not cluster.is_deleted(client(code), "t", 1.0)
