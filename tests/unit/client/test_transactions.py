"""Errors of transactional calls, each treated as librdkafka asks, without a broker."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests import fillers
from tfkafka.client import create, transactions
from tfkafka.client.transactions import AlternatingProducers, TransactionalProducer, is_outdated
from tfkafka.errors import AbortedError, FencedError, TopicError, TransactionError, UnusableError

CALLS = ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"]
RETRIABLE = KafkaError(KafkaError._TIMED_OUT, "slow", retriable=True)
ABORTABLE = KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "evicted", txn_requires_abort=True)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "broken", fatal=True)
OTHER = KafkaError(KafkaError._STATE, "wrong state")


class FakeProducer:
    """Notes its calls; those named in `failing` raise their errors, one a call."""

    def __init__(self, failing: dict[str, list[KafkaError]]):
        self.failing = failing
        self.calls: list[str] = []

    def __getattr__(self, name: str):
        def call(*_arguments, **_options) -> int:
            self.calls.append(name)
            if self.failing.get(name):
                raise KafkaException(self.failing[name].pop(0))
            return 0

        return call


@pytest.fixture(autouse=True)
def python_writer(monkeypatch) -> None:
    """The native one needs a true client."""
    fillers.use(monkeypatch, "python")


@pytest.fixture
def producer(monkeypatch):
    """producer(failing) -> (TransactionalProducer, its FakeProducer)."""

    def make(failing: dict[str, list[KafkaError]]):
        fake = FakeProducer(failing)
        monkeypatch.setattr(create, "make_client", lambda *_, **__: fake)
        return TransactionalProducer({}, "id", 1000), fake

    return make


def transact(client, prove=lambda: "member") -> None:
    client.transact({"t": [("v", None, None)]}, {("in", 0): 5}, prove)


def without_polls(fake: FakeProducer) -> list[str]:
    return [name for name in fake.calls if name != "poll"]


@pytest.mark.parametrize("call", CALLS[1:])
def test_retriable_errors_are_tried_again(producer, call):
    client, fake = producer({call: [RETRIABLE, RETRIABLE]})
    transact(client)
    assert fake.calls.count(call) == 3
    assert "abort_transaction" not in fake.calls


@pytest.mark.parametrize("call", CALLS)
def test_abortable_errors_abort(producer, call):
    client, fake = producer({call: [ABORTABLE]})
    with pytest.raises(AbortedError, match=f"{call}: evicted"):
        transact(client)
    assert fake.calls[-1] == "abort_transaction"
    assert fake.calls.count("commit_transaction") == (call == "commit_transaction")


@pytest.mark.parametrize(
    ("code", "expected"), [(KafkaError.ILLEGAL_GENERATION, True), (KafkaError._TIMED_OUT, False)]
)
def test_a_membership_that_is_outdated_is_told_from_other_aborts(producer, code, expected):
    error = KafkaError(code, "refused", txn_requires_abort=True)
    client, _ = producer({"send_offsets_to_transaction": [error]})
    with pytest.raises(AbortedError) as failure:
        transact(client)
    assert is_outdated(failure.value) == expected


@pytest.mark.parametrize("error", [FATAL, OTHER])
@pytest.mark.parametrize("call", CALLS)
def test_after_other_errors_the_producer_is_of_no_use(producer, call, error):
    client, fake = producer({call: [error]})
    with pytest.raises(UnusableError, match=call):
        transact(client)
    assert fake.calls[-1] == call


@pytest.mark.parametrize(
    "code", [KafkaError._FENCED, KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL]
)
def test_fenced(producer, code):
    client, _ = producer({"commit_transaction": [KafkaError(code, "gone", fatal=True)]})
    with pytest.raises(FencedError, match="commit_transaction: gone"):
        transact(client)


@pytest.mark.parametrize(
    ("fatal", "kind"),
    [(KafkaError(KafkaError._FENCED, "gone", fatal=True), FencedError), (FATAL, UnusableError)],
)
def test_a_fatal_error_comes_out_of_poll_after_a_retriable_one(producer, fatal, kind):
    client, _ = producer({"commit_transaction": [RETRIABLE], "poll": [fatal]})
    with pytest.raises(kind, match=f"commit_transaction: {fatal.str()}"):
        transact(client)


def test_refused_access_is_not_tried_again(producer):
    denied = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "denied", retriable=True)
    client, fake = producer({"init_transactions": [denied]})
    with pytest.raises(TransactionError, match="denied"):
        client.connect()
    assert fake.calls == ["init_transactions"]


def test_a_call_that_hangs_is_given_up(producer, monkeypatch):
    monkeypatch.setattr(transactions, "PROGRESS_S", 0.0)
    client, fake = producer({"commit_transaction": [RETRIABLE] * 1000})
    with pytest.raises(UnusableError, match="commit_transaction did nothing for 0 s"):
        transact(client)
    assert "abort_transaction" not in fake.calls


def test_a_call_that_ignores_its_time_out_is_noticed(producer, monkeypatch):
    """By the second look: where the process was frozen, the call returns after the first."""
    client, fake = producer({})
    looks = 1

    def hang(*_arguments) -> None:
        for _ in range(looks):
            client.refuse_hang()

    fake.commit_transaction = hang
    monkeypatch.setattr(transactions, "_CALL_S", -1.0)
    monkeypatch.setattr(transactions, "_OVERDUE_S", -1.0)
    for _ in range(2):
        transact(client)
    client.refuse_hang()
    looks = 2
    with pytest.raises(UnusableError, match="commit_transaction does not return"):
        transact(client)


def test_a_failed_produce_is_never_repeated(producer):
    """A second attempt would write the records before it twice."""
    client, fake = producer({"produce": [RETRIABLE]})
    with pytest.raises(AbortedError, match="produce: slow"):
        transact(client)
    assert without_polls(fake) == ["begin_transaction", "produce", "abort_transaction"]


def test_offsets_of_another_topic_are_never_sent(producer):
    client, fake = producer({})

    def refuse() -> None:
        raise TopicError("created again")

    with pytest.raises(TopicError, match="created again"):
        transact(client, refuse)
    assert without_polls(fake) == ["begin_transaction", "produce", "abort_transaction"]


def test_an_abort_that_fails_is_not_passed_over(producer):
    client, _ = producer({"commit_transaction": [ABORTABLE], "abort_transaction": [FATAL]})
    with pytest.raises(UnusableError, match="abort_transaction"):
        transact(client)


def test_producers_alternate(monkeypatch):
    made = []

    def make(_kind, settings, **_arguments):
        made.append((settings["transactional.id"], FakeProducer({})))
        return made[-1][1]

    monkeypatch.setattr(create, "make_client", make)
    producers = AlternatingProducers({}, "worker", 1000)
    producers.connect()
    for _ in range(3):
        transact(producers)
    assert [name for name, _ in made] == ["worker-0", "worker-1"]
    assert [fake.calls.count("commit_transaction") for _, fake in made] == [2, 1]
    assert all(fake.calls[0] == "init_transactions" for _, fake in made)
