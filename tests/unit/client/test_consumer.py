"""What a consumer makes of errors, of ends and of silence, without a broker."""

from __future__ import annotations

import re
from concurrent.futures import Future
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from tests import fillers
from tests.unit.messages import fill, message
from tfkafka.chunk import OffsetRange, TopicPartition, empty
from tfkafka.client import codes, consumer, create, diagnosis, leaving, liveness, topics
from tfkafka.client.consumer import OFFSET_BEGINNING, Consumer, is_fenced
from tfkafka.client.diagnosis import is_final
from tfkafka.client.fill import Event, Filled
from tfkafka.client.lineage import Committed, Lineage
from tfkafka.client.probe import Listener
from tfkafka.config import Limits
from tfkafka.errors import CommitError, OffsetError, ReadError, TopicError

MINE = TopicPartition("t", 3)
OTHER = {KafkaError._FAIL, KafkaError.INVALID_MSG, KafkaError.UNKNOWN}


class Clock:
    now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


class FakeClient:
    """Notes its calls; the methods in `answers` return or raise what is given there."""

    def __init__(self, settings: dict):
        self.settings = settings
        self.calls: list[tuple] = []
        self.answers: dict[str, object] = {}

    def __getattr__(self, name: str):
        def call(*arguments, **options):
            self.calls.append((name, *arguments, *options.values()))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class FakeFiller:
    """Gives what is in `filled`, then nothing."""

    def __init__(self):
        self.filled: list[Filled] = []
        self.asked: list[int] = []

    def expect(self, partitions) -> None:
        pass

    def close(self) -> None:
        pass

    def fill(self, _timeout_s: float, at_most: int, _most_bytes: int) -> Filled:
        self.asked.append(at_most)
        return self.filled.pop(0) if self.filled else Filled(empty())


@pytest.fixture(autouse=True)
def python_filler(monkeypatch) -> None:
    """The native one needs a true client."""
    fillers.use(monkeypatch, "python")


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    for module in (leaving, liveness, topics):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def make(monkeypatch, clock):
    """make(**options) -> (Consumer, its client, its filler)."""

    def made(limits: Limits | None = None, settings=None, **options):
        filler = FakeFiller()
        monkeypatch.setattr(create, "make_client", lambda _kind, s: FakeClient(s))
        monkeypatch.setattr(consumer, "PythonFiller", lambda *_: filler)
        limits = limits or Limits(broker_timeout=5000)
        settings = {"bootstrap.servers": "h:1", "group.id": "g", **(settings or {})}
        found = Consumer(settings, limits, ["t"], **options)
        return found, found._consumer, filler

    return made


def poll_for(reading: Consumer, clock: Clock, seconds: float) -> None:
    """Poll in vain, without standing still."""
    for _ in range(10):
        clock.now += seconds / 10
        reading.poll(0.1)


def event(code: int, offset: int = 5) -> Filled:
    return Filled(empty(), [Event(KafkaError(code, "reason"), MINE, offset)])


def metadata(code: int | None = None, brokers: int = 1) -> SimpleNamespace:
    error = None if code is None else KafkaError(code)
    return SimpleNamespace(topics={"t": SimpleNamespace(error=error)}, brokers=range(brokers))


@pytest.mark.parametrize("code", sorted(codes.TRANSIENT))
def test_passing_errors_are_noted(make, code):
    reading, _, filler = make()
    filler.filled = [event(code)]
    assert reading.poll(0.1).ends == {}
    assert "(reason)" in str(reading.failure("what"))


@pytest.mark.parametrize(
    ("some_codes", "error", "text"),
    [
        (codes.MISSING, ReadError, "topic or partition does not exist"),
        (codes.REFUSED | OTHER, ReadError, "reason"),
    ],
)
def test_other_errors_are_raised_with_their_place(make, some_codes, error, text):
    for code in sorted(some_codes):
        reading, _, filler = make()
        reading.subscribe(None, None, None)
        filler.filled = [event(code)]
        with pytest.raises(error, match=rf"^topic t, partition 3, offset 5.*{text}") as raised:
            reading.poll(0.1)
        assert type(raised.value) is error


@pytest.mark.parametrize("code", sorted(codes.OUT_OF_RANGE))
def test_a_partition_without_the_next_offset_is_reported(make, code):
    """With the records of the others: nothing is lost where reading goes on."""
    reading, _, filler = make()
    chunk = fill([message(partition=4, offset=4)])
    filler.filled = [Filled(chunk, event(code, 7).events)]
    polled = reading.poll(0.1)
    assert polled.missing == {MINE: 7} and polled.chunk is chunk and not polled.ends


# As librdkafka 2.16 says it.
TRUNCATED = (
    "Partition log truncation detected at offset 150 (leader epoch 0): broker end offset is 100 "
    "(offset leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected"
)
NO_EPOCH = (
    "No epoch found less or equal to offset 150 (leader epoch 9): broker end offset is -1 (offset "
    "leader epoch -1). Reset using configured policy.: Local: Partition log truncation detected"
)


def test_a_log_that_was_truncated_is_reported_even_where_the_offset_exists_again(make):
    reading, _, filler = make()
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, TRUNCATED)
    filler.filled = [Filled(empty(), [Event(error, MINE, None)])]
    polled = reading.poll(0.1)
    assert polled.truncated == {MINE: 100} and not polled.missing


def test_a_leader_that_knows_no_epochs_is_not_asked_to_compare_them_again(make):
    """Of an old message format: the reader asks whether the offset exists, and goes on there."""
    lineage = Lineage()
    lineage.begin(MINE, 150, 9)
    reading, _, filler = make(lineage=lineage)
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, NO_EPOCH)
    filler.filled = [Filled(empty(), [Event(error, MINE, 150)])]
    polled = reading.poll(0.1)
    assert polled.missing == {MINE: 150} and not polled.truncated
    lineage.begin(MINE, 150, 9)
    assert lineage.before(MINE, 150) is None


def test_a_truncation_in_other_words_is_an_error(make):
    reading, _, filler = make()
    for code in (KafkaError._LOG_TRUNCATION, KafkaError._AUTO_OFFSET_RESET):
        filler.filled = [Filled(empty(), [Event(KafkaError(code, "truncated"), MINE, None)])]
        with pytest.raises(OffsetError, match=r"^topic t, partition 3: truncated"):
            reading.poll(0.1)


def test_positions_carry_the_epoch_of_the_leader(make):
    lineage = Lineage()
    lineage.begin(MINE, 7, 4)
    reading, client, _ = make(lineage=lineage)
    client.answers["commit"] = []
    reading.start_at({MINE: 7})
    reading.start_more_at({MINE: 7})
    reading.commit({MINE: 7})
    reading.commit_soon({MINE: 7})
    names = ["assign", "seek", "incremental_assign", "seek", "commit", "commit"]
    assert [name for name, *_ in client.calls] == names
    for name, places, *_ in client.calls:
        [place] = [places] if name == "seek" else places
        assert place.leader_epoch == 4


def not_started(make):
    """Return a reader whose start librdkafka does not take a seek for, its client and filler."""
    lineage = Lineage()
    lineage.begin(MINE, 150, 9)
    reading, client, filler = make(lineage=lineage)
    client.answers["seek"] = KafkaException(KafkaError(KafkaError._STATE, "not started"))
    reading.start_at({MINE: 150})
    return reading, client, filler


def test_nothing_of_a_start_that_is_not_validated_is_delivered(make):
    reading, client, filler = not_started(make)
    fetched = Filled(
        fill([message(partition=3, offset=150)]), event(KafkaError._PARTITION_EOF).events
    )
    filler.filled = [fetched, fetched]
    polled = reading.poll(0.1)
    assert not len(polled.chunk) and not polled.ends
    del client.answers["seek"]
    assert len(reading.poll(0.1).chunk) == 1


@pytest.mark.parametrize(
    ("text", "missing", "truncated"),
    [(TRUNCATED, {}, {MINE: 100}), (NO_EPOCH, {MINE: 150}, {})],
)
def test_what_librdkafka_compares_by_itself_counts(make, text, missing, truncated):
    """It has stopped reading there: no seek would be taken any more."""
    reading, client, filler = not_started(make)
    error = KafkaError(KafkaError._AUTO_OFFSET_RESET, text)
    filler.filled = [Filled(empty(), [Event(error, MINE, 150)])]
    polled = reading.poll(0.1)
    assert (polled.missing, polled.truncated) == (missing, truncated)
    client.calls.clear()
    reading.poll(0.1)
    assert not [name for name, *_ in client.calls if name == "seek"]


def test_an_offset_that_is_gone_is_looked_for_again_until_it_is_validated(make):
    """Whether the log differs before the offset is known only after it was compared."""
    reading, client, filler = not_started(make)
    client.calls.clear()
    filler.filled = [event(KafkaError.OFFSET_OUT_OF_RANGE, 150)] * 2
    assert not reading.poll(0.1).missing
    names = [name for name, *_ in client.calls]
    assert names == ["seek", "incremental_unassign", "incremental_assign", "seek"]
    del client.answers["seek"]
    assert reading.poll(0.1).missing == {MINE: 150}


def test_another_error_before_a_start_is_validated_is_raised(make):
    reading, _, filler = not_started(make)
    filler.filled = [event(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(ReadError, match="READ"):
        reading.poll(0.1)


def test_an_error_of_no_partition_names_the_topics_that_are_read(make):
    reading, _, filler = make()
    filler.filled = [Filled(empty(), [Event(KafkaError(KafkaError._FAIL, "reason"), None, None)])]
    with pytest.raises(ReadError, match=r"^topic t: reason$") as raised:
        reading.poll(0.1)
    assert (raised.value.topic, raised.value.partition, raised.value.offset) == (None, None, None)


def test_no_code_has_two_meanings():
    apart = [codes.TRANSIENT, codes.MISSING, codes.OUT_OF_RANGE, codes.REFUSED]
    assert sum(map(len, apart)) == len(frozenset().union(*apart))
    assert KafkaError._PARTITION_EOF not in frozenset().union(*apart)


def test_the_end_of_a_partition_is_no_error(make):
    reading, _, filler = make()
    chunk = fill([message(partition=3, offset=4)])
    filler.filled = [Filled(chunk, event(KafkaError._PARTITION_EOF).events)]
    polled = reading.poll(0.1)
    assert polled.chunk is chunk and polled.ends == {MINE: 5}


@pytest.mark.parametrize("code", sorted(codes.REFUSED))
def test_a_refusal_of_the_client_is_raised_while_there_are_no_records(make, monkeypatch, code):
    listener: Future[Listener] = Future()
    listener.set_result(Listener({}, None))
    monkeypatch.setattr(diagnosis, "_probe_soon", lambda *_: listener)
    reading, client, _ = make()
    reading._connection.answered()
    client.settings["error_cb"](KafkaError(code, "denied"))
    reading.poll(0.1)  # looks what is at the address
    with pytest.raises(ReadError, match=r"topic t: no connection .* h:1 \(denied\)") as raised:
        reading.poll(0.1)
    assert is_final(raised.value)


def test_a_reader_without_a_group_needs_no_right_on_it(make):
    code = KafkaError.GROUP_AUTHORIZATION_FAILED
    refused = Filled(empty(), [Event(KafkaError(code, "denied"), None, None)])
    reading, _, filler = make()
    filler.filled = [refused]
    assert reading.poll(0.1).ends == {}
    member, _, filler = make()
    member.subscribe(None, None, None)
    filler.filled = [refused]
    with pytest.raises(ReadError, match=r"^topic t: denied: grant this user READ on group g$"):
        member.poll(0.1)


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        ('SASL authentication error: {"status":"invalid_token"}', [("list_topics", "t", 0.2)] * 4),
        # Another broker, whose connection is older, would answer: this is no reason to go on.
        ("SASL authentication error: wrong password", [("list_topics", "t", 0.9)]),
    ],
)
def test_a_broker_that_refuses_a_token_is_asked_often_and_briefly_whether_it_still_does(
    make, clock, monkeypatch, reason, asked
):
    monkeypatch.setattr(diagnosis, "_probe_soon", lambda *_: Future())
    reading, client, _ = make()
    client.answers["list_topics"] = KafkaException(KafkaError(KafkaError._TRANSPORT))
    client.settings["error_cb"](KafkaError(KafkaError._AUTHENTICATION, reason))
    for _ in range(3):
        clock.now += 0.25
        reading.poll(0.1)
    client.answers["list_topics"] = metadata()
    for _ in range(3):
        clock.now += 0.25
        reading.poll(0.1)
    assert client.calls == asked


UNKNOWN = KafkaError.UNKNOWN_TOPIC_OR_PART
NOT_THERE = KafkaError(UNKNOWN, "Subscribed topic not available: t: Broker: Unknown topic")


@pytest.mark.parametrize(("brokers", "waited_s"), [(1, 0), (3, 1)])
def test_a_subscription_to_a_missing_topic_is_one_line(make, clock, brokers, waited_s):
    reading, client, filler = make()
    client.answers["list_topics"] = metadata(UNKNOWN, brokers)
    filler.filled = [Filled(empty(), [Event(NOT_THERE, TopicPartition("t", 0), None)])]
    begun_s = clock.monotonic()
    with pytest.raises(ReadError, match=r"^there is no topic t on h:1: create it first$"):
        reading.poll(0.1)
    assert clock.monotonic() - begun_s == pytest.approx(waited_s, abs=0.1)


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("t", KafkaError.TOPIC_AUTHORIZATION_FAILED),
        ("^t.*", UNKNOWN),
        ("^t.*", KafkaError.TOPIC_EXCEPTION),
    ],
)
def test_a_hidden_topic_and_a_pattern_without_any_are_refused_at_once(make, clock, topic, code):
    """librdkafka says so once, and in these words whatever is wrong with the topic."""
    reading, client, filler = make()
    client.answers["list_topics"] = metadata(brokers=3)
    error = KafkaError(code, f"Subscribed topic not available: {topic}: Broker: no")
    filler.filled = [Filled(empty(), [Event(error, TopicPartition(topic, 0), None)])]
    begun_s = clock.monotonic()
    with pytest.raises(ReadError, match=rf"^there is no topic {re.escape(topic)} on h:1"):
        reading.poll(0.1)
    assert clock.monotonic() == begun_s


def test_a_broker_without_an_answer_leaves_a_topic_missing(make):
    reading, client, filler = make()
    client.answers["list_topics"] = KafkaException(KafkaError(KafkaError._TRANSPORT, "away"))
    filler.filled = [Filled(empty(), [Event(NOT_THERE, TopicPartition("t", 0), None)])]
    with pytest.raises(ReadError, match=r"^there is no topic t on h:1: create it first$"):
        reading.poll(0.1)


def test_a_new_topic_that_another_broker_has_already(make):
    reading, client, filler = make()
    client.answers["list_topics"] = metadata()
    filler.filled = [Filled(empty(), [Event(NOT_THERE, TopicPartition("t", 0), None)])]
    assert reading.poll(0.1).ends == {}


def test_a_name_that_no_topic_can_have(monkeypatch):
    with pytest.raises(TopicError, match="'with blank' is no topic name"):
        Consumer({}, Limits(), ["with blank"])
    monkeypatch.setattr(create, "make_client", lambda _kind, s: FakeClient(s))
    monkeypatch.setattr(consumer, "PythonFiller", lambda *_: FakeFiller())
    Consumer({"bootstrap.servers": "h:1"}, Limits(), ["^a pattern"])


def test_a_fatal_error_out_of_poll_is_known_as_fencing(make):
    """confluent-kafka does not call `error_cb` for it."""
    reading, _, filler = make()
    fatal = KafkaException(KafkaError(KafkaError.FENCED_INSTANCE_ID, "twin", fatal=True))
    filler.fill = Mock(side_effect=fatal)
    with pytest.raises(ReadError, match="twin") as raised:
        reading.poll(0.1)
    assert is_fenced(raised.value)
    assert not is_fenced(ReadError("twin"))


def test_a_passing_error_of_the_client_is_not_raised(make):
    reading, client, _ = make()
    client.settings["error_cb"](KafkaError(KafkaError._TRANSPORT, "refused"))
    assert not len(reading.poll(0.1).chunk)
    assert "(refused)" in str(reading.failure("what"))


def test_silence_of_a_broker_that_answers_is_none(make, clock):
    reading, client, _ = make()
    client.answers["list_topics"] = metadata()
    for _ in range(60):
        clock.now += 0.5
        assert not len(reading.poll(0.1).chunk)
        assert reading.is_alive()


@pytest.mark.parametrize("code", sorted(codes.MISSING))
def test_a_topic_that_was_deleted_is_an_error(make, clock, code):
    reading, client, _ = make()
    client.answers["list_topics"] = metadata(code)
    clock.now += 1.5
    with pytest.raises(ReadError, match="there is no topic t on h:1: create it first"):
        reading.poll(0.1)
    reading.start_at({MINE: 0})
    clock.now += 1.5
    with pytest.raises(ReadError, match="topic t no longer exists"):
        reading.poll(0.1)


def test_a_broker_that_has_just_started_may_not_know_a_topic_yet(make, clock):
    reading, client, _ = make()
    reading.start_at({MINE: 0})
    answers = [metadata(KafkaError.UNKNOWN_TOPIC_OR_PART)] * 3 + [metadata()]
    client.list_topics = lambda *_args, **_options: answers.pop(0) if answers else metadata()
    clock.now += 1.5
    reading.poll(0.1)
    assert not answers


def test_a_broker_that_is_away_for_too_long_is_an_error(make, clock):
    reading, client, _ = make()
    away = KafkaError(KafkaError._ALL_BROKERS_DOWN, "all down")
    client.answers["list_topics"] = KafkaException(away)
    poll_for(reading, clock, 4.9)
    assert not reading.is_alive()
    clock.now += 0.2
    with pytest.raises(ReadError, match=r"topic t: no answer .* h:1 for 5000 ms \(all down\)"):
        reading.poll(0.1)
    reading.go_on()
    reading.poll(0.1)


def test_a_process_that_stood_still_has_not_heard_whether_the_broker_is_away(make, clock):
    reading, client, _ = make()

    def ask(*_arguments, timeout: float) -> None:
        clock.now += 3600
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "away"))

    client.list_topics = ask
    clock.now += 3600
    reading.poll(0.1)
    assert not reading.is_alive()
    with pytest.raises(ReadError, match="no answer from Kafka at h:1 for 5000 ms"):
        poll_for(reading, clock, 50)


def test_records_are_an_answer_of_the_broker(make, clock):
    reading, client, filler = make()
    client.answers["list_topics"] = KafkaException(KafkaError(KafkaError._TRANSPORT, "away"))
    poll_for(reading, clock, 4.9)
    filler.filled = [Filled(fill([message(partition=3, offset=5)]))]
    reading.poll(0.1)
    assert reading.is_alive()
    poll_for(reading, clock, 4.9)
    clock.now += 0.2
    with pytest.raises(ReadError, match="no answer from Kafka at h:1 for 5000 ms"):
        reading.poll(0.1)


@pytest.mark.parametrize("is_hopeless", [False, True])
def test_nothing_is_asked_where_no_address_is_usable(make, clock, monkeypatch, is_hopeless):
    """It would hold up the thread that notices why."""
    reading, client, _ = make()
    client.answers["list_topics"] = metadata()
    monkeypatch.setattr(consumer.Connection, "is_hopeless", lambda _connection: is_hopeless)
    clock.now += 1.5
    reading.poll(0.1)
    assert ("list_topics" in [call[0] for call in client.calls]) != is_hopeless


def test_a_question_that_is_refused_is_an_error(make, clock):
    reading, client, _ = make()
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied")
    client.answers["list_topics"] = KafkaException(denied)
    clock.now += 1.5
    with pytest.raises(ReadError, match="topic t: denied: grant this user READ on topic t"):
        reading.poll(0.1)


def test_chunks_grow_up_to_their_limits(make):
    records = fill([message(bytes(959), partition=3, offset=n) for n in range(8)])
    mean = records.nbytes // 8
    reading, _, filler = make(Limits(chunk_records=3000, chunk_bytes=5000 * mean))
    filler.filled = [Filled(records)] * 4
    for _ in range(4):
        reading.poll(0.1)
    reading.poll(0.1, at_most=7)
    assert filler.asked == [256, 1024, 3000, 3000, 7]
    small, _, filler = make(Limits(chunk_bytes=10 * mean))
    filler.filled = [Filled(records)] * 2
    for _ in range(2):
        small.poll(0.1)
    assert filler.asked == [256, 10]


def test_ranges_are_read_from_their_starts(make):
    reading, client, _ = make()
    reading.assign([OffsetRange("t", 3, 7, 9), OffsetRange("t", 4, 0, 9)])
    [(name, places)] = client.calls
    assert name == "assign"
    assert [(p.topic, p.partition, p.offset) for p in places] == [("t", 3, 7), ("t", 4, 0)]


def test_no_exception_of_the_client_leaves_it(make):
    failure = KafkaException(KafkaError(KafkaError._STATE, "wrong state"))
    for name, call in {
        "assign": lambda reading: reading.start_at({MINE: 0}),
        "incremental_unassign": lambda reading: reading.leave_out([MINE]),
        "incremental_assign": lambda reading: reading.start_again_at({MINE: OFFSET_BEGINNING}),
        "pause": lambda reading: reading.pause([MINE]),
        "resume": lambda reading: reading.resume([MINE]),
        "subscribe": lambda reading: reading.subscribe(None, None, None),
    }.items():
        reading, client, _ = make()
        client.answers[name] = failure
        with pytest.raises(ReadError, match="topic t: wrong state"):
            call(reading)


def test_an_assignment_that_failed_is_a_missing_topic(make):
    reading, client, _ = make()
    reading.subscribe(lambda _: None, lambda _: None, lambda _: None)
    on_assign = client.calls[-1][2]
    place = Place("t", 3)
    assert on_assign(None, [place]) is None
    failed = SimpleNamespace(topic="t", error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "none"))
    with pytest.raises(TopicError, match="topic t: none"):
        on_assign(None, [place, failed])


def place(offset: int, code: int | None = None) -> SimpleNamespace:
    error = None if code is None else KafkaError(code, "reason")
    fields = {"topic": "t", "partition": 3, "metadata": None, "leader_epoch": 6}
    return SimpleNamespace(**fields, offset=offset, error=error)


def test_committed_offsets(make):
    reading, client, _ = make()
    assert reading.committed([], 1.0) == ({}, None)
    assert not client.calls
    client.answers["committed"] = [place(7)]
    assert reading.committed([MINE], 1.0) == ({MINE: Committed(7, 6)}, None)
    client.answers["committed"] = [place(-1001)]
    assert reading.committed([MINE], 1.0) == ({}, None)
    client.answers["committed"] = [place(-1001, KafkaError.UNSTABLE_OFFSET_COMMIT)]
    assert reading.committed([MINE], 1.0) == ({}, "reason")
    client.answers["committed"] = KafkaException(KafkaError(KafkaError._TIMED_OUT, "slow"))
    assert reading.committed([MINE], 1.0) == ({}, "slow")
    denied = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "denied")
    client.answers["committed"] = KafkaException(denied)
    with pytest.raises(ReadError, match="denied: grant this user READ on group g"):
        reading.committed([MINE], 1.0)


def test_a_lost_membership_is_no_failed_commit(make):
    for code in sorted(codes.LOST_MEMBERSHIP):
        reading, client, _ = make()
        client.answers["commit"] = KafkaException(KafkaError(code, "lost"))
        reading.commit({MINE: 7})
        client.answers["commit"] = [place(7, code)]
        reading.commit({MINE: 7})


def test_another_refusal_of_a_commit_is_an_error(make):
    reading, client, _ = make()
    reading.commit({})
    assert not client.calls
    client.answers["commit"] = [place(7, KafkaError.OFFSET_METADATA_TOO_LARGE)]
    with pytest.raises(CommitError, match="partition 3: offset 7 could not be committed: reason"):
        reading.commit({MINE: 7})
    client.answers["commit"] = KafkaException(KafkaError(KafkaError._TRANSPORT, "away"))
    with pytest.raises(CommitError, match="away"):
        reading.commit({MINE: 7})


def test_answers_to_commits_that_nobody_waits_for(make):
    answers = []
    _, client, _ = make(on_commit=lambda failure, accepted: answers.append((failure, accepted)))
    on_commit = client.settings["on_commit"]
    on_commit(None, [place(7)])
    on_commit(None, [place(8, KafkaError.ILLEGAL_GENERATION)])
    on_commit(KafkaError(KafkaError.UNKNOWN_MEMBER_ID), [place(8)])
    on_commit(KafkaError(KafkaError._TRANSPORT, "away"), [place(9)])
    assert answers[:3] == [(None, {MINE: 7}), (None, {}), (None, {})]
    failure, accepted = answers[3]
    assert isinstance(failure, CommitError) and "offset 9" in str(failure) and accepted == {}
    assert not consumer.may_be_sent_again(failure)
    on_commit(KafkaError(KafkaError._WAIT_COORD), [place(10)])
    assert consumer.may_be_sent_again(answers[4][0])


def test_what_tfkafka_needs_cannot_be_set_otherwise(monkeypatch, make):
    filler = FakeFiller()
    monkeypatch.setattr(consumer, "PythonFiller", lambda *_: filler)
    wrong = {"enable.auto.commit": True, "enable.partition.eof": False, "bootstrap.servers": "h:1"}
    wrong["auto.offset.reset"] = "latest"
    monkeypatch.setattr(create, "make_client", lambda _kind, s: FakeClient(s))
    found = Consumer(wrong, Limits(), ["t"])._consumer.settings
    assert found["enable.auto.commit"] is False and found["enable.partition.eof"] is True
    assert found["auto.offset.reset"] == "error"


def test_partitions_that_are_assigned_while_it_closes_are_not_begun(make):
    """Who begins asks the group for its offsets, which a consumer that closes never answers."""
    reading, client, _ = make()
    begun: list[object] = []
    reading.subscribe(begun.append, begun.append, begun.append)
    [(_, _, assigned, *_)] = [call for call in client.calls if call[0] == "subscribe"]
    place = Place("t", 3)
    assigned(client, [place])
    assert begun == [[MINE]]
    reading.close()
    assigned(client, [place])
    assert begun == [[MINE]]


def test_a_static_member_of_a_busy_topic_leaves_at_once(make, clock, monkeypatch):
    """Its partitions stay assigned while it serves callbacks: more records would come."""
    reading, client, _ = make(settings={"group.instance.id": "member"})
    reading.subscribe(None, None, None)
    paused = []

    def consume(_records, wait_s) -> list[str]:
        clock.now += wait_s
        return [] if paused else ["record"]

    places = [Place("t", 3)]
    monkeypatch.setattr(client, "assignment", lambda: places, raising=False)
    monkeypatch.setattr(client, "pause", paused.extend, raising=False)
    monkeypatch.setattr(client, "consume", consume, raising=False)
    began = clock.now
    reading.close()
    assert paused == places and clock.now - began < 0.1 and client.calls[-1] == ("close",)


@pytest.mark.parametrize(("leave", "calls"), [(False, 0), (True, 1)])
def test_a_static_member_leaves_only_where_it_is_asked_to(make, leave, calls):
    member, client, _ = make(settings={"group.instance.id": "i"})
    member.subscribe(None, None, None)
    member.close(leave)
    assert client.calls.count(("unsubscribe",)) == calls
    assert client.calls[-1] == ("close",)
