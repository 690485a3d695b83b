"""Questions to a cluster: asked again while it may help, and what is raised when it does not."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, Uuid

from tfkafka.client import cluster, codes, topics
from tfkafka.client.change import change
from tfkafka.client.cluster import Cluster
from tfkafka.client.codes import UNAUTHORIZED
from tfkafka.client.diagnosis import NoConnection, is_final
from tfkafka.errors import BrokerError, ReadError, TopicError


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeClient:
    """Its controller is away; `list_topics` finds another, or asks the one that is away."""

    finds_another = True
    made = 0

    def __init__(self, settings: dict):
        self.settings = settings
        FakeClient.made += 1
        self.has_looked = not self.finds_another and FakeClient.made > 1

    def poll(self, _timeout_s: float) -> int:
        return 0

    def list_topics(self, timeout: float) -> SimpleNamespace:
        if not self.finds_another:
            cluster.time.sleep(timeout)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        self.has_looked = True
        return SimpleNamespace(brokers={})

    def describe_cluster(self, request_timeout: float) -> Future[SimpleNamespace]:
        answer: Future[SimpleNamespace] = Future()
        if self.has_looked:
            nodes = [
                SimpleNamespace(id=1, host="::1", port=2),
                SimpleNamespace(id=2, host="h", port=1),
            ]
            answer.set_result(SimpleNamespace(cluster_id="c", nodes=nodes))
        else:
            cluster.time.sleep(request_timeout)
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        return answer

    def list_offsets(self, places, isolation_level, request_timeout: float):
        """Answer after 5 s."""
        cluster.time.sleep(min(5.0, request_timeout))
        answer: Future[SimpleNamespace] = Future()
        if request_timeout < 5:
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        else:
            answer.set_result(SimpleNamespace(offset=7, leader_epoch=None))
        return dict.fromkeys(places, answer)


@pytest.fixture
def make(monkeypatch):
    """make(**options) -> a Cluster that is asked for 2 s; nothing is probed."""
    clock = Clock()
    for module in (cluster, topics):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(cluster.create, "make_client", lambda _kind, s: FakeClient(s))
    monkeypatch.setattr(cluster.Connection, "check", lambda _connection: None)
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


@pytest.mark.parametrize(("brokers", "waited_s"), [(1, 0), (3, 1)])
def test_another_broker_may_not_know_a_new_topic_yet(make, monkeypatch, brokers, waited_s):
    client = SimpleNamespace(
        poll=lambda _timeout_s: 0,
        describe_cluster=lambda **_: done(SimpleNamespace(nodes=range(brokers))),
        describe_topics=lambda *_, **__: {"t": gone},
    )
    gone: Future = Future()
    gone.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
    monkeypatch.setattr(cluster.create, "make_client", lambda *_: client)
    asking = make()
    begun_s = cluster.time.monotonic()
    with pytest.raises(TopicError, match="there is no topic t on h:1"):
        asking.describe("t")
    assert cluster.time.monotonic() - begun_s == pytest.approx(waited_s, abs=0.1)

    client.describe_cluster = lambda **_: gone  # nobody says how many there are
    with pytest.raises(TopicError, match="there is no topic t on h:1"):
        asking.describe("t")
    client.describe_cluster = lambda **_: done(SimpleNamespace(nodes=range(brokers)))

    known = SimpleNamespace(topic_id=Uuid(1, 2), partitions=[SimpleNamespace(id=0, replicas=[])])
    answers = iter([gone, gone, done(known)])
    client.describe_topics = lambda *_, **__: {"t": next(answers)}
    if brokers > 1:
        assert asking.partitions("t") == [0]


def done(value: object) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize("code", sorted(codes.REFUSED))
def test_a_refusal_is_raised_at_once(make, code):
    granted = r": grant this user DESCRIBE on (topic t|the cluster)" if code in UNAUTHORIZED else ""
    with pytest.raises(ReadError, match=rf"^what: reason{granted}$") as refusal:
        make().ask("what", failing(code), "t")
    assert is_final(refusal.value)
    with pytest.raises(BrokerError, match=rf"^what: reason{granted}$"):
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
    asked.client.settings["error_cb"](KafkaError(KafkaError._TRANSPORT, "connection refused"))
    with pytest.raises(ReadError, match=r"\(connection refused\)$"):
        asked.ask("what", forever(KafkaError._TIMED_OUT))
    with pytest.raises(ReadError, match=r"\(reason\)$"):
        asked.ask("what", forever(KafkaError.COORDINATOR_NOT_AVAILABLE))


def test_without_a_connection_waiting_ends(make, monkeypatch):
    def refuse(_connection) -> None:
        raise NoConnection("no connection to Kafka at h:1 (why): what to do")

    asked = make()
    monkeypatch.setattr(cluster.Connection, "check", refuse)
    with pytest.raises(ReadError, match=r"^what: no connection .* \(why\): what to do$") as raised:
        asked.ask("what", forever(KafkaError._TRANSPORT))
    assert is_final(raised.value)
    assert cluster.time.now == pytest.approx(100, abs=0.11)


def answers(*codes_of_errors: int | None):
    """Requests that are sent together, each time with the next of these answers; None: done."""
    left = list(codes_of_errors)

    def send() -> list[Future]:
        answer: Future[None] = Future()
        if (code := left.pop(0)) is None:
            answer.set_result(None)
        else:
            answer.set_exception(KafkaException(KafkaError(code, "reason")))
        done: Future[None] = Future()
        done.set_result(None)
        return [done, answer]

    return send


DROPPED, DONE = KafkaError._DESTROY_BROKER, KafkaError.TOPIC_ALREADY_EXISTS


def test_what_must_not_be_sent_twice_is_not(make):
    with pytest.raises(ReadError, match="what: no answer from Kafka at h:1"):
        change(make(), "what", answers(KafkaError._TRANSPORT, None))


@pytest.mark.parametrize("last", [None, DONE])
def test_a_change_that_was_dropped_is_sent_again(make, last):
    change(make(), "what", answers(DROPPED, DROPPED, last), DONE)


@pytest.mark.parametrize(("given", "done"), [((DONE,), DONE), ((DROPPED, DONE), None)])
def test_a_change_that_is_refused_is_not_sent_again(make, given, done):
    with pytest.raises(KafkaException, match="reason"):
        change(make(), "what", answers(*given, None), done)


def test_a_process_that_stood_still_asks_again(make):
    left = [3600.0, 1.0]

    def question(_timeout_s: float) -> int:
        if left:
            cluster.time.sleep(left.pop(0))
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return 7

    assert make().ask("what", question) == 7


def test_a_question_that_is_always_late_ends(make):
    """As where a function that gives a token takes its time."""

    def question(timeout_s: float) -> None:
        cluster.time.sleep(timeout_s + 5)
        assert cluster.time.monotonic() < 1000
        raise TimeoutError

    with pytest.raises(ReadError, match="no answer"):
        make().ask("what", question)


def test_a_topic_that_may_be_hidden(make, monkeypatch):
    monkeypatch.setattr(cluster.create, "make_client", lambda _kind, s: FakeClient(s))
    secured = Cluster({"bootstrap.servers": "h:1", "security.protocol": "SSL"}, 2000)
    assert str(secured.missing("t")) == (
        "there is no topic t on h:1, or this user may not see it: "
        "create it, or grant this user DESCRIBE on it"
    )


def test_a_future_that_does_not_come_is_a_time_out(make):
    def hang(_timeout_s: float):
        raise TimeoutError

    with pytest.raises(ReadError, match=r"\(no answer\)"):
        make().ask("what", hang)
    with pytest.raises(BrokerError, match=r"\(no answer\)"):
        make(error=BrokerError).ask("what", hang)


def test_a_leader_that_is_slow_is_waited_for(make):
    make()
    asked = Cluster({"bootstrap.servers": "h:1"}, 60_000)
    assert asked.end_offsets("t", [0, 1]) == {0: 7, 1: 7}


@pytest.mark.parametrize(("finds_another", "seconds"), [(True, 2), (False, 4)])
def test_another_broker_is_looked_for_where_one_does_not_answer(
    make, monkeypatch, finds_another, seconds
):
    make()
    monkeypatch.setattr(FakeClient, "finds_another", finds_another)
    monkeypatch.setattr(FakeClient, "made", 0)
    asked = Cluster({"bootstrap.servers": "h:1"}, 30_000)
    assert asked.cluster_id() == "c"
    assert cluster.time.now == pytest.approx(100 + seconds, abs=0.11)
    assert FakeClient.made == (1 if finds_another else 2)


def test_a_new_client_may_begin_with_each_broker_that_is_known(make, monkeypatch):
    make()
    monkeypatch.setattr(FakeClient, "finds_another", False)
    asked = Cluster({"bootstrap.servers": "h:1"}, 30_000)
    asked.client.has_looked = True
    asked.cluster_id()
    first = asked.client
    assert first.settings["bootstrap.servers"] == "h:1"
    first.has_looked = False
    asked.cluster_id()
    assert asked.client is not first
    assert asked.client.settings["bootstrap.servers"] == "h:1,[::1]:2"


def test_a_partition_that_is_newer_than_the_metadata_is_looked_for(make, monkeypatch):
    asked, slow = make(), FakeClient.list_offsets

    def list_offsets(client, places, **options):
        if client.has_looked:
            return slow(client, places, **options | {"request_timeout": 60.0})
        answer: Future[SimpleNamespace] = Future()
        answer.set_exception(KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION)))
        return dict.fromkeys(places, answer)

    monkeypatch.setattr(FakeClient, "list_offsets", list_offsets)
    assert asked.end_offsets("t", [0]) == {0: 7}
