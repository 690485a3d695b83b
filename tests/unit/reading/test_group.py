"""A member of a group: what it loses, what it keeps, where its stream ends; without a broker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.messages import fill, message
from tests.unit.reading.test_commits import without_coordinator
from tfkafka.chunk import Chunk, TopicPartition, concat
from tfkafka.client.cluster import End, TopicDescription
from tfkafka.client.consumer import Polled
from tfkafka.client.lineage import Committed
from tfkafka.config import Limits
from tfkafka.errors import CommitError, OffsetError, ReadError, TopicError
from tfkafka.reading import group
from tfkafka.reading.group import GroupConsumer
from tfkafka.reading.starts import Reset
from tfkafka.testing import wait_for

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
EAGER = {"group.id": "g", "auto.offset.reset": "earliest"}
LIMITS = Limits()
COOPERATIVE = {**EAGER, "partition.assignment.strategy": "cooperative-sticky"}


class FakeConsumer:
    """While it is polled, does what is next in `script`, then gives these offsets of A and B."""

    def __init__(self, *_arguments, **_options):
        self.script: list[tuple[Callable, Chunk, dict, dict, dict]] = []
        self.committed_offsets: dict[TopicPartition, int] = {}
        self.reason: str | None = None
        self.takes_s = 0.0
        self.waited_s: list[float] = []
        self.started: list[dict] = []
        self.started_again: list[dict] = []
        self.started_more: list[dict] = []
        self.committed_now: list[dict] = []
        self.refusals: list[CommitError] = []
        self.paused: set[TopicPartition] = set()
        self.alive = True

    def member_id(self) -> str:
        return "me"

    def subscribe(self, on_assign, on_revoke, on_lost):
        self.on_assign, self.on_revoke, self.on_lost = on_assign, on_revoke, on_lost

    def poll(self, _timeout_s, _at_most=None) -> Polled:
        happens, *polled = self.script.pop(0)
        happens()
        return Polled(*polled)

    def committed(self, partitions, timeout_s):
        self.waited_s.append(timeout_s)
        if timeout_s < self.takes_s:
            return {}, "timed out"
        if self.reason is not None:
            return {}, self.reason
        found = self.committed_offsets
        return {p: Committed(o, 4) for p, o in found.items() if p in partitions}, None

    def start_at(self, positions):
        self.started.append(dict(positions))
        self.paused.clear()  # as Kafka's client does on assigning

    def start_again_at(self, positions):
        self.started_again.append(dict(positions))
        self.paused -= set(positions)

    def start_more_at(self, positions):
        self.started_more.append(dict(positions))

    def commit(self, positions):
        if positions and self.refusals:
            raise self.refusals.pop()
        if positions:
            self.committed_now.append(dict(positions))

    def pause(self, partitions):
        self.paused |= set(partitions)

    def resume(self, partitions):
        self.paused -= set(partitions)

    def is_alive(self):
        return self.alive


class FakeCluster:
    """Where partitions begin and end: A has 2:8, 9 with open transactions, and B is empty."""

    def __init__(self, *_arguments, **_options):
        pass

    def partitions(self, topic):
        if topic == "hidden":
            raise TopicError("no such topic", topic=topic)
        return [A.partition, B.partition]

    def first_offsets(self, _topic, partitions):
        return {number: 0 if number == B.partition else 2 for number in partitions}

    def end_offsets(self, topic, partitions):
        return {p: end.offset for p, end in self.ends(topic, partitions).items()}

    def ends(self, _topic, partitions):
        return {number: End(0 if number == B.partition else 8, 7) for number in partitions}

    def high_watermarks(self, _topic, partitions):
        return {number: 0 if number == B.partition else 9 for number in partitions}


class FakeGuard:
    """Knows the partitions of the topic, and whether it is another one."""

    error: Exception | None = None
    another: Exception | None = None

    def __init__(self, _cluster, _known):
        pass

    def watch(self, topics):
        if "t" in topics and self.another:
            raise self.another

    def learn(self, topic):
        self.confirm([topic])
        return TopicDescription("id", [A.partition, B.partition])

    def confirm(self, topics=("t",)):
        assert {*topics} <= {"t"}
        if self.error:
            raise self.error


@pytest.fixture
def make(monkeypatch):
    """make(settings, stream_timeout, **options) -> a joined GroupConsumer."""
    monkeypatch.setattr(group, "Consumer", FakeConsumer)
    monkeypatch.setattr(group, "Cluster", FakeCluster)
    monkeypatch.setattr(group, "TopicGuard", FakeGuard)

    def made(
        settings=EAGER,
        stream_timeout=0,
        on_missing="error",
        limits=LIMITS,
        topics=("t",),
        **options,
    ) -> GroupConsumer:
        reset = Reset.of(settings, on_missing)
        member = GroupConsumer(topics, settings, limits, stream_timeout, reset, **options)
        member.join()
        return member

    return made


def nothing() -> None:
    pass


def records(*places: tuple[TopicPartition, int]) -> Chunk:
    return fill(message(partition=source.partition, offset=o) for source, o in places)


def poll(member, happens=nothing, *places, ends=None, missing=None, truncated=None) -> Polled:
    """Poll once, while which `happens` is called; note progress."""
    polled = (records(*places), ends or {}, missing or {}, truncated or {})
    member.consumer.script.append((happens, *polled))
    polled = member.poll(0.1)
    member.advance(polled)
    return polled


def assign(member, *partitions) -> None:
    poll(member, lambda: member.consumer.on_assign(list(partitions)))


def lose(member, *partitions) -> None:
    poll(member, lambda: member.consumer.on_lost(list(partitions)))


def places_of(chunk: Chunk) -> list[tuple[TopicPartition, int]]:
    return [(chunk.sources[s], o) for s, o in zip(chunk.source, chunk.offsets, strict=True)]


def test_a_topic_that_is_another_ends_the_silence_of_what_is_assigned(make, monkeypatch):
    monkeypatch.setattr(FakeGuard, "another", TopicError("another", topic="t"))
    member = make(stream_timeout=-1)
    poll(member)
    assign(member, A)
    with pytest.raises(TopicError, match="another"):
        poll(member)
    member.consumer.on_lost([A])
    poll(member)


def test_records_of_what_was_lost_are_dropped(make):
    member = make()
    assign(member, A, B)
    chunk = poll(member, nothing, (A, 3), (B, 4), (A, 5)).chunk
    assert member.current(chunk) is chunk
    lose(member, A, B)
    assert not len(member.current(chunk))


def test_also_where_the_partition_has_been_assigned_again(make):
    """Another member may have read and committed them meanwhile."""
    member = make()
    assign(member, A, B)
    chunk = poll(member, nothing, (A, 3), (B, 4)).chunk
    lose(member, A, B)
    assign(member, A, B)
    assert not len(member.current(chunk))
    fresh = poll(member, nothing, (A, 3)).chunk
    assert member.current(fresh) is fresh


def test_records_of_what_was_kept_are_kept(make):
    member = make(COOPERATIVE)
    assign(member, A, B)
    chunk = poll(member, nothing, (A, 3), (B, 4), (A, 5)).chunk
    lose(member, B)
    assert places_of(member.current(chunk)) == [(A, 3), (A, 5)]
    assign(member, B)
    assert places_of(member.current(chunk)) == [(A, 3), (A, 5)]
    assert member.reached() == {A: 6, B: 0}


def test_joined_chunks_are_as_old_as_the_oldest(make):
    member = make(COOPERATIVE)
    assign(member, A, B)
    old = poll(member, nothing, (B, 4)).chunk
    lose(member, B)
    assign(member, B)
    new = poll(member, nothing, (A, 3)).chunk
    assert places_of(member.current(concat([new, old]))) == [(A, 3)]


def test_what_is_lost_while_it_is_polled_is_not_given(make):
    member = make(COOPERATIVE)
    assign(member, A, B)
    polled = poll(member, lambda: member.consumer.on_lost([A]), (A, 3), (B, 4), ends={A: 4, B: 5})
    assert places_of(polled.chunk) == [(B, 4)] and polled.ends == {B: 5}
    assert member.reached() == {B: 5}
    assert not member.consumer.started and not member.consumer.started_again


def lose_and_regain(member, *partitions):
    def happens() -> None:
        member.consumer.on_revoke(list(partitions))
        member.consumer.on_assign(list(partitions))

    return happens


def test_what_is_lost_and_regained_in_one_poll_is_read_again_from_the_committed_offset(make):
    """Its records are from before or from after the change: nobody can tell."""
    member = make()
    assign(member, A, B)
    member.consumer.committed_offsets = {A: 3}
    polled = poll(member, lose_and_regain(member, A, B), (A, 5), (B, 4), ends={A: 6})
    assert not len(polled.chunk) and not polled.ends
    # Once assigned, once again: A at the committed offset, B where the member began.
    assert member.consumer.started[-1] == {A: 3, B: 0}
    assert member.reached() == {A: 3, B: 0}


def test_a_cooperative_member_reads_only_the_regained_again(make):
    member = make(COOPERATIVE)
    assign(member, A, B)
    member.consumer.committed_offsets = {A: 3, B: 2}
    polled = poll(member, lose_and_regain(member, A), (A, 5), (B, 4))
    assert places_of(polled.chunk) == [(B, 4)]
    assert member.consumer.started_again == [{A: 3}] and not member.consumer.started
    assert member.reached() == {A: 3, B: 5}


def test_an_eager_member_that_regains_one_reads_all_again(make):
    """It assigns all partitions again, each with a position of its own."""
    member = make()
    assign(member, A)
    member.consumer.committed_offsets = {A: 3, B: 0}

    def happens() -> None:
        member.consumer.on_revoke([A])
        member.consumer.on_assign([A, B])

    polled = poll(member, happens, (A, 5), (B, 4))
    assert not len(polled.chunk)
    assert member.consumer.started[-1] == {A: 3, B: 0}


LATEST = {"group.id": "g"}


def test_a_new_group_begins_where_the_setting_says_and_commits_that(make):
    for settings, starts in ((EAGER, {A: 2, B: 0}), (LATEST, {A: 8, B: 0})):
        member = make(settings)
        assign(member, A, B)
        assert member.consumer.started == [starts] and member.reached() == starts
        assert member.consumer.committed_now == [starts]


def test_a_new_group_that_has_no_coordinator_yet_commits_as_soon_as_it_has(make, monkeypatch):
    monkeypatch.setattr(group, "_AGAIN_S", 0.001)
    member = make()
    member.consumer.refusals = [without_coordinator() for _ in range(3)]
    assign(member, A)
    assert member.consumer.committed_now == [{A: 2}]


def test_a_commit_that_is_refused_or_waits_for_too_long_is_an_error(make, monkeypatch):
    monkeypatch.setattr(group, "_AGAIN_S", 0.001)
    member = make(limits=Limits(broker_timeout=20), patience_s=0)
    member.consumer.refusals = [without_coordinator() for _ in range(10_000)]
    with pytest.raises(CommitError, match="coordinator"):
        assign(member, A)
    member.consumer.refusals = [CommitError("refused")]
    with pytest.raises(CommitError, match="refused"):
        assign(member, A)
    assert not member.consumer.committed_now


def test_with_latest_a_new_member_commits_the_partitions_of_others_too(make):
    """Those would otherwise take them for new partitions, and read everything."""
    member = make(LATEST)
    assign(member, B)
    assert member.consumer.started == [{B: 0}]
    assert member.consumer.committed_now == [{A: 8, B: 0}]
    member = make(EAGER)
    assign(member, B)
    assert member.consumer.committed_now == [{B: 0}]


def test_a_partition_without_a_commit_among_others_is_new(make):
    """Whatever the setting says."""
    for settings in (EAGER, LATEST, {**EAGER, "auto.offset.reset": "error"}):
        member = make(settings)
        member.consumer.committed_offsets = {B: 0}
        assign(member, A, B)
        assert member.consumer.started == [{A: 2, B: 0}]
        assert member.consumer.committed_now == [{A: 2}]
        member = make(settings)
        member.consumer.committed_offsets = {B: 0}
        assign(member, A)
        assert member.consumer.started == [{A: 2}]


def test_a_group_that_may_not_choose_is_an_error(make):
    member = make({**EAGER, "auto.offset.reset": "error"})
    with pytest.raises(OffsetError, match=r"^topic t, partition 0: the group has no committed"):
        assign(member, A)


def test_committed_offsets_that_are_gone_are_an_error(make):
    for offset, text in (
        (0, "before 2 have been deleted: 2 records"),
        (10, "ends at 9: 1 records"),
    ):
        member = make()
        member.consumer.committed_offsets = {A: offset}
        with pytest.raises(OffsetError, match=rf"partition 0: offset {offset} comes next.*{text}"):
            assign(member, A)
        member = make(on_missing="earliest")
        member.consumer.committed_offsets = {A: offset}
        assign(member, A)
        assert member.consumer.started == [{A: 2}] and member.missing == abs(
            offset - (2, 9)[offset > 2]
        )


@pytest.mark.parametrize("on_missing", ["error", "earliest"])
@pytest.mark.parametrize("when", ["assigned", "reading"])
def test_the_offsets_of_a_topic_that_is_created_again_meanwhile_say_nothing(
    make, monkeypatch, on_missing, when
):
    member = make(on_missing=on_missing)
    if when == "reading":
        assign(member, A)
    member.consumer.committed_offsets = {A: 10}
    ends = FakeCluster.ends

    def created_again(*arguments):
        monkeypatch.setattr(FakeGuard, "error", TopicError("created again"))
        return ends(*arguments)

    monkeypatch.setattr(FakeCluster, "ends", created_again)
    with pytest.raises(TopicError, match="created again"):
        assign(member, A) if when == "assigned" else poll(member, missing={A: 1})
    assert member.missing == 0 and {A: 2} not in member.consumer.committed_now[1:]


def test_committed_offsets_in_an_open_transaction_are_there(make):
    member = make()
    member.consumer.committed_offsets = {A: 9}
    assign(member, A)
    assert member.consumer.started == [{A: 9}] and member.is_over(0.0)


def test_a_current_offset_that_is_gone_is_an_error(make):
    member = make()
    assign(member, A)
    with pytest.raises(OffsetError, match="offset 1 comes next"):
        poll(member, missing={A: 1})
    member = make(on_missing="earliest")
    assign(member, A, B)
    polled = poll(member, nothing, (B, 3), missing={A: 1})
    assert member.consumer.started[-1] == {A: 2, B: 4} and member.missing == 1
    assert len(polled.chunk) == 1, "what else came is kept"


def test_what_is_known_of_the_records_before_a_start(make):
    """The committed epoch; where the group begins, and where it goes on elsewhere, the leader's."""
    member = make(on_missing="earliest")
    member.consumer.committed_offsets = {A: 3}
    assign(member, A, B)
    assert (member.lineage.before(A, 3), member.lineage.before(B, 0)) == (4, 7)
    member.consumer.committed_offsets = {A: 1, B: 0}
    assign(member, A, B)
    assert (member.lineage.before(A, 2), member.lineage.before(B, 0)) == (7, 4)
    member.consumer.committed_offsets = {A: 5}
    member.rewind()
    assert (member.lineage.before(A, 5), member.lineage.before(B, 0)) == (4, 4)


def test_a_truncated_log_is_an_error(make):
    member = make()
    assign(member, A)
    poll(member, nothing, (A, 2), (A, 6))
    with pytest.raises(OffsetError, match=r"offset 7 comes next, but .* records from 5 .*: 2 rec"):
        poll(member, truncated={A: 5})


def test_a_truncated_log_is_read_again_from_where_it_differs(make):
    """What was read of the lost records, and is not used yet, is dropped."""
    calls = []
    member = make(
        on_missing="earliest",
        before_revoke=lambda partitions: calls.append(("before", partitions)),
        after_loss=lambda partitions: calls.append(("after", partitions)),
    )
    assign(member, A, B)
    chunk = poll(member, nothing, (A, 2), (A, 6), (B, 1)).chunk
    polled = poll(member, nothing, (A, 7), (B, 2), ends={A: 8, B: 3}, truncated={A: 5})
    assert places_of(polled.chunk) == [(B, 2)] and polled.ends == {B: 3}
    assert member.consumer.started[-1] == {A: 5, B: 3} and member.missing == 3
    assert places_of(member.current(chunk)) == [(B, 1)]
    assert member.reached() == {A: 5, B: 3}
    assert member.lineage.before(A, 5) == 7
    assert calls == [("before", [A]), ("after", [A])]


def test_a_log_that_was_truncated_only_after_what_was_read_loses_nothing(make):
    member = make()
    assign(member, A)
    poll(member, nothing, (A, 2), truncated={A: 5})
    assert member.consumer.started[-1] == {A: 3} and member.missing == 0


def test_another_topic_of_the_name_is_an_error_before_anything_else(make, monkeypatch):
    member = make()
    assign(member, A)
    monkeypatch.setattr(FakeGuard, "error", TopicError("created again"))
    with pytest.raises(TopicError, match="created again"):
        poll(member, missing={A: 1})
    with pytest.raises(TopicError, match="created again"):
        assign(make(), A)


def test_a_cooperative_member_adds_what_is_assigned(make):
    member = make(COOPERATIVE)
    assign(member, A)
    assign(member, B)
    assert member.consumer.started_more == [{A: 2}, {B: 0}] and not member.consumer.started


def test_rewinding_drops_what_was_read(make):
    member = make()
    member.consumer.committed_offsets = {A: 3}
    assign(member, A)
    chunk = poll(member, nothing, (A, 3), (A, 4)).chunk
    member.consumer.committed_offsets = {A: 4}
    member.rewind()
    assert member.consumer.started == [{A: 3}, {A: 4}]
    assert not len(member.current(chunk)) and member.reached() == {A: 4}


def test_offsets_that_cannot_be_read_are_an_error(make):
    member = make(limits=Limits(broker_timeout=1), patience_s=-1)
    member.consumer.reason = "a transaction is open"
    with pytest.raises(ReadError, match="offsets cannot be read: a transaction is open"):
        assign(member, A)


def test_offsets_that_come_late_are_waited_for(make):
    member = make(limits=Limits(broker_timeout=3_600_000))
    member.consumer.takes_s = 100.0
    member.consumer.committed_offsets = {A: 5}
    assign(member, A)
    assert member.reached() == {A: 5}
    assert member.consumer.waited_s == [2, 4, 8, 16, 32, 64, 128]


def test_the_stream_ends_where_partitions_ended_when_they_were_assigned(make):
    member = make()
    assert not member.is_over(0.0)
    assign(member, A, B)
    assert not member.is_over(99.0)
    poll(member, nothing, (A, 6))
    assert not member.is_over(99.0)
    poll(member, nothing, (A, 7))
    assert member.is_over(0.0)


def test_an_end_that_is_reached_counts_where_the_last_offsets_have_no_record(make):
    member = make()
    assign(member, A)
    poll(member, nothing, (A, 5), ends={A: 8})
    assert member.is_over(0.0) and member.is_at_end()


def test_records_after_an_end_are_no_end(make):
    member = make(stream_timeout=1000)
    assign(member, A)
    poll(member, nothing, ends={A: 5})
    assert member.is_at_end()
    poll(member, nothing, (A, 5))
    assert not member.is_at_end()


@pytest.mark.parametrize("stream_timeout", [0, 1])
def test_between_two_assignments_no_stream_is_over(make, stream_timeout):
    member = make(stream_timeout=stream_timeout)
    assign(member, A)
    poll(member, nothing, (A, 7), ends={A: 8})
    assert member.is_over(99.0) and member.is_at_end() and member.is_assigned
    lose(member, A)
    assert not member.is_over(99.0)
    assert not member.is_at_end() and not member.is_assigned
    assign(member)
    assert member.is_over(99.0) and member.is_at_end() and member.is_assigned


def test_silence_ends_a_stream_that_has_a_timeout_and_a_broker(make):
    member = make(stream_timeout=2000)
    assign(member, A)
    assert not member.is_over(99.0)
    poll(member, nothing, ends={A: 8})
    assert member.is_over(2.0) and not member.is_over(1.9)
    member.consumer.alive = False
    assert not member.is_over(99.0)


def test_without_a_timeout_it_never_ends(make):
    member = make(stream_timeout=-1)
    assign(member)
    assert member.is_at_end() and not member.is_over(1e9)


@pytest.fixture
def others(monkeypatch) -> dict[str, set[TopicPartition]]:
    """What the coordinator says of the group: this member has none, and another one has all."""
    found = {"me": set(), "other": {A, B}}
    monkeypatch.setattr(group, "members", lambda *_: found)
    return found


@pytest.mark.parametrize("topic", ["t", "^t", "^(?&"], ids=["name", "pattern", "unknown syntax"])
def test_others_have_all_only_with_each_partition(make, others, topic):
    member = make(COOPERATIVE, topics=[topic])
    poll(member)
    assert member._others_have_all()
    others["other"] = {A}
    assert not member._others_have_all()


@pytest.mark.parametrize("topic", ["t", "^t"])
def test_others_may_read_topics_that_this_member_may_not_see(make, others, topic):
    others["other"].add(TopicPartition("hidden", 0))
    member = make(COOPERATIVE, topics=[topic])
    poll(member)
    wait_for(lambda: member.is_over(0.0), "the end")


def test_a_member_without_partitions_is_at_end_while_others_have_all(make, others):
    """With KIP-848 no callback says that it gets none; its id does not say that it is in."""
    member = make(COOPERATIVE, stream_timeout=-1)
    poll(member)
    assert not member.is_at_end(), "nobody has answered yet"
    wait_for(member.is_at_end, "the answer")
    member.consumer.alive = False
    assert not member.is_at_end()
    member.consumer.alive = True
    assign(member, A)
    assert not member.is_at_end()
    others["other"] = {A}
    lose(member, A)
    assert not member.is_at_end(), "what was said before does not count"


def test_a_pause_is_undone_on_loss(make):
    """Kafka's client would remember it when the partition comes back."""
    member = make(COOPERATIVE)
    assign(member, A, B)
    member.pause()
    assert member.consumer.paused == {A, B}
    lose(member, A)
    assert member.consumer.paused == {B}
    assign(member, A)
    assert member.consumer.paused == {B}
    member.pause()
    assert member.consumer.paused == {A, B}
    member.resume()
    assert member.consumer.paused == set()


def test_what_is_read_again_is_paused_again_when_asked(make):
    member = make()
    assign(member, A)
    for read_again in (
        member.rewind,
        lambda: poll(member, lose_and_regain(member, A)),
    ):
        member.pause()
        assert member.consumer.paused == {A}
        read_again()
        assert member.consumer.paused == set()


def test_losses_are_reported_before_and_after(make):
    reported = []
    member = make(
        before_revoke=lambda partitions: reported.append(
            ("before", partitions, member.mine({A: 1}))
        ),
        after_loss=lambda partitions: reported.append(("after", partitions, member.mine({A: 1}))),
    )
    assign(member, A)
    poll(member, lambda: member.consumer.on_revoke([A]))
    assign(member, A)
    lose(member, A)
    assert reported == [("before", [A], {A: 1}), ("after", [A], {}), ("after", [A], {})]
    assert member.assignments == 2


def test_positions_of_others_are_not_mine(make):
    member = make()
    assign(member, A)
    assert member.mine({A: 3, B: 4}) == {A: 3}
    assert member.end_offsets([A, B]) == {A: 8, B: 0}
