"""Which offsets are meant, and reading them, without a broker."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import fill, message
from tests.unit.properties import few
from tfkafka.chunk import OffsetRange, TopicPartition, concat
from tfkafka.client.cluster import End, TopicDescription
from tfkafka.client.consumer import Polled
from tfkafka.config import Limits
from tfkafka.errors import OffsetError, ReadError, TopicError
from tfkafka.reading import ranges
from tfkafka.reading.bounds import Last
from tfkafka.reading.ranges import Identity, TopicRanges, read, resolve, why_empty

IDENTITY = Identity("t", "c", "id")
# Instead of the ends of a poll: the broker does not have offset 2 of partition 0.
MISSING = {-1: 0}
# Or: its leader has other records from offset 1 on.
TRUNCATED = {-2: 0}
# The leaders' epochs of these offsets.
EPOCHS = {4: 3, 5: 3, 6: 4}


class FakeCluster:
    """Partition 0 has offsets 10:20, 1 has 0:5, 2 is empty; the records of 15 and 3 are late."""

    servers = "h:1"

    def __init__(self, *_arguments, **_options):
        pass

    def describe(self, _topic):
        return TopicDescription("id", [0, 1, 2])

    def cluster_id(self):
        return "c"

    def first_offsets(self, _topic, partitions):
        return {p: {0: 10, 1: 0, 2: 7}[p] for p in partitions}

    def end_offsets(self, topic, partitions):
        return {p: end.offset for p, end in self.ends(topic, partitions).items()}

    def ends(self, _topic, partitions):
        return {p: End({0: 20, 1: 5, 2: 7}[p], 3 + p) for p in partitions}

    def offsets_at(self, _topic, partitions, time_ms):
        late = {0: 15, 1: 3, 2: -1} if time_ms < 1_700_000_000_000 else dict.fromkeys(range(3), -1)
        return {p: late[p] for p in partitions}


@pytest.fixture
def found(monkeypatch):
    """found(partitions, start, stop) -> {partition: (start, stop)}."""
    monkeypatch.setattr(ranges, "Cluster", FakeCluster)

    def resolved(*arguments):
        each = resolve({}, Limits(), "t", *arguments)
        assert each.identity == IDENTITY
        assert all(r.topic == "t" for r in each.ranges)
        return {r.partition: (r.start, r.stop) for r in each.ranges}

    return resolved


@pytest.mark.parametrize(
    ("stops", "reached", "max_records", "said"),
    [
        ((0, 0), {}, None, "its ranges are empty (topic t, partition 0, offsets 0:0; topic t, par"),
        ((0,) * 9, {}, None, "partition 4, offsets 0:0; ...): check start and stop, or call refre"),
        ((2, 3), {}, None, "5 offsets are without a record (topic t, partition 0, offsets 0:2;"),
        ((2,), {TopicPartition("t", 0): 2}, None, "partition 0, offsets 0:2 were used before"),
        ((2,), {}, 0, ""),
    ],
)
def test_why_there_is_no_record(stops, reached, max_records, said):
    each = [OffsetRange("t", number, 0, stop) for number, stop in enumerate(stops)]
    found = why_empty(each, reached, max_records)
    assert (said in found) if said else found == ""
    assert "\n" not in found


def test_all_of_all_partitions(found):
    assert found() == {0: (10, 20), 1: (0, 5), 2: (7, 7)}
    assert found([1]) == {1: (0, 5)}
    assert found([2, 0]) == {2: (7, 7), 0: (10, 20)}
    assert found([]) == {}


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        ("earliest", "latest", (10, 20)),
        ("latest", "latest", (20, 20)),
        ("earliest", "earliest", (10, 10)),
        (10, 20, (10, 20)),
        (12, 15, (12, 15)),
        (np.int64(12), 12, (12, 12)),
        (Last(3), "latest", (17, 20)),
        (Last(0), "latest", (20, 20)),
        (Last(99), "latest", (10, 20)),
        ("earliest", Last(3), (10, 17)),
        ({0: 12}, {0: "latest"}, (12, 20)),
    ],
)
def test_offsets_that_are_meant(found, start, stop, expected):
    assert found([0], start, stop) == {0: expected}


@pytest.mark.parametrize(
    ("start", "stop", "text"),
    [
        (9, "latest", "offset 9 comes next, but all before 10 have been deleted: 1 records are"),
        (0, "latest", "offset 0 comes next, but all before 10 have been deleted: 10 records"),
        (21, "latest", "offsets 21:20 are not within 10:20"),
        (12, 11, "offsets 12:11 are not within 10:20"),
        ("earliest", 21, "offsets 10:21 are not within 10:20"),
        (-1, "latest", 'start is -1: offsets begin at 0; the end is "latest"'),
        ("earliest", -2003, "stop is -2003: offsets begin at 0"),
    ],
)
def test_offsets_that_are_not_there(found, start, stop, text):
    with pytest.raises(OffsetError, match=text):
        found([0], start, stop)


def test_a_time(found):
    early = datetime(2023, 1, 1, tzinfo=UTC)
    assert found(None, early) == {0: (15, 20), 1: (3, 5), 2: (7, 7)}
    assert found(None, datetime(2030, 1, 1, tzinfo=UTC)) == {0: (20, 20), 1: (5, 5), 2: (7, 7)}
    assert found([0], "earliest", early) == {0: (10, 15)}
    with pytest.raises(ValueError, match="start=2023-01-01 00:00:00 has no time zone"):
        found(None, datetime(2023, 1, 1))


def test_a_time_is_looked_up_once_for_all_partitions(found, monkeypatch):
    asked = []
    look_up = FakeCluster.offsets_at
    monkeypatch.setattr(
        FakeCluster, "offsets_at", lambda *arguments: asked.append(arguments) or look_up(*arguments)
    )
    early, late = datetime(2023, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    assert found(None, early, {0: late, 1: early, 2: late}) == {0: (15, 20), 1: (3, 3), 2: (7, 7)}
    assert sorted(list(partitions) for _, _, partitions, _ in asked) == [[0, 1, 2], [0, 2], [1]]


@pytest.mark.parametrize(
    ("microseconds", "expected"), [(0, 5000), (1, 5001), (999, 5001), (1000, 5001), (-1, 5000)]
)
def test_a_fraction_of_a_millisecond_is_rounded_up(monkeypatch, microseconds, expected):
    """The record at or after 5,000.001 ms cannot be the one of 5,000 ms."""
    asked = []
    monkeypatch.setattr(ranges, "Cluster", FakeCluster)
    monkeypatch.setattr(
        FakeCluster,
        "offsets_at",
        lambda _self, _topic, _partitions, ms: asked.append(ms) or {0: 15},
    )
    time = datetime.fromtimestamp(5, UTC) + timedelta(microseconds=microseconds)
    resolve({}, Limits(), "t", [0], time)
    assert asked == [expected]


@pytest.mark.parametrize("before", [timedelta(milliseconds=1), timedelta(days=365)])
def test_a_time_before_1970_is_that_of_the_first_record(monkeypatch, before):
    """Kafka takes -1 ms for the end, and refuses other negative numbers."""
    asked = []
    monkeypatch.setattr(ranges, "Cluster", FakeCluster)
    monkeypatch.setattr(
        FakeCluster,
        "offsets_at",
        lambda _self, _topic, _partitions, ms: asked.append(ms) or {0: 15},
    )
    resolve({}, Limits(), "t", [0], datetime(1970, 1, 1, tzinfo=UTC) - before)
    assert asked == [0]


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("first", 'start is \'first\', must be an offset, "earliest", "latest" or a datetime'),
        (True, "start is True, must be"),
        (1.0, "start is 1.0, must be"),
        ({}, "start is an empty dict"),
        ({"0": 12, 1: 2}, "a partition of start is '0', must be a whole number"),
        ({0: 12}, r"start names the partitions \[0\], and \[0, 1\] are read: give one for each"),
        ({0: 12, 1: 2, 2: 7}, r"start names the partitions \[0, 1, 2\], and \[0, 1\] are read"),
    ],
)
def test_what_is_no_bound_is_refused(found, start, text):
    with pytest.raises((TypeError, ValueError), match=text):
        found([0, 1], start)


def test_a_partition_that_is_not_there(found):
    with pytest.raises(TopicError, match="topic t on h:1 has no partition 3, it has 0 to 2"):
        found([0, 3])


class FakeConsumer:
    """Gives what is in `polls`, a list of (offsets by partition, ends by partition)."""

    polls: ClassVar[list] = []
    instances: ClassVar[list] = []

    def __init__(self, _settings, _limits, _topics, *, lineage, **_options):
        self.lineage = lineage
        self.left_out: list[int] = []
        self.paused: set[int] = set()
        self.closed = False
        self.instances.append(self)

    def assign(self, wanted):
        self.sources = {each.partition: each.source for each in wanted}

    def poll(self, _timeout_s, _at_most=None):
        assert self.sources.keys() - self.paused - {*self.left_out}, "nothing is fetched"
        if not self.polls:
            return Polled(fill([]))
        places, ends = self.polls.pop(0)
        chunk = fill(message(bytes(100), None, p, o) for p, o in places)
        for partition, offset in places:
            self.lineage.note(self.sources[partition], offset, EPOCHS.get(offset))
        if ends == MISSING:
            return Polled(chunk, {}, {self.sources[0]: 2})
        if ends == TRUNCATED:
            return Polled(chunk, truncated={self.sources[0]: 1})
        return Polled(chunk, {self.sources[p]: offset for p, offset in ends.items()})

    def leave_out(self, sources):
        self.left_out += [source.partition for source in sources]

    def pause(self, sources):
        self.paused |= {source.partition for source in sources}

    def resume(self, sources):
        self.paused -= {source.partition for source in sources}

    def go_on(self):
        pass

    def is_alive(self):
        return True

    def failure(self, what):
        return ReadError(f"{what}: no answer")

    def close(self):
        self.closed = True


class FakeGuard:
    """Confirms the topic, or raises `error`."""

    error: Exception | None = None
    another: Exception | None = None

    def __init__(self, _cluster):
        pass

    def watch(self, topics):
        assert topics == ["t"]
        if self.another:
            raise self.another

    def expect(self, **identity):
        assert Identity(**identity) == IDENTITY

    def ask(self, topics):
        assert topics == ["t"]
        check = Future()
        check.set_exception(self.error) if self.error else check.set_result(None)
        return check

    def confirm(self):
        if self.error:
            raise self.error

    def close(self):
        pass


class Clock:
    """Each look at it takes 0.1 s."""

    now = 100.0

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now


@pytest.fixture(autouse=True)
def consumer(monkeypatch):
    monkeypatch.setattr(ranges, "time", Clock())
    monkeypatch.setattr(ranges, "Cluster", FakeCluster)
    monkeypatch.setattr(ranges, "Consumer", FakeConsumer)
    monkeypatch.setattr(ranges, "TopicGuard", FakeGuard)
    monkeypatch.setattr(FakeConsumer, "polls", [])
    monkeypatch.setattr(FakeConsumer, "instances", [])
    return FakeConsumer


def places_read(wanted, limits=None, *arguments, **options) -> list[tuple[int, int]]:
    limits = limits or Limits(broker_timeout=300)
    chosen = TopicRanges(IDENTITY, tuple(wanted))
    each = concat(list(read(chosen, {}, limits, *arguments, **options)))
    return list(zip(each.partitions.tolist(), each.offsets.tolist(), strict=True))


ONE = [OffsetRange("t", 0, 2, 6)]


def test_the_end_is_reached_by_position(consumer):
    """Of the last offsets there may be no record; what comes after the stop is not given."""
    for after in (6, 7):
        consumer.polls = [([(0, 2), (0, 3)], {}), ([(0, after)], {})]
        assert places_read(ONE) == [(0, 2), (0, 3)]
    consumer.polls = [([(0, 2), (0, 5), (0, 6), (0, 7)], {})]
    assert places_read(ONE) == [(0, 2), (0, 5)]
    consumer.polls = [([(0, 2)], {0: 6})]
    assert places_read(ONE) == [(0, 2)]
    consumer.polls = [([], {0: 6})]
    assert places_read(ONE) == []
    assert all(each.closed and each.left_out == [0] for each in consumer.instances)


def test_a_process_that_stood_still_has_not_listened(consumer, monkeypatch):
    poll = consumer.poll

    def poll_and_stop(self, *arguments):
        ranges.time.now += 3600
        return poll(self, *arguments)

    monkeypatch.setattr(consumer, "poll", poll_and_stop)
    consumer.polls = [([(0, 2)], {}), ([], {}), ([(0, 5)], {})]
    assert places_read(ONE, Limits(broker_timeout=1500)) == [(0, 2), (0, 5)]


def test_no_range_no_consumer(consumer):
    assert places_read([]) == places_read([OffsetRange("t", 0, 3, 3)]) == []
    assert places_read(ONE, None, 0) == []
    assert not consumer.instances


def test_breaking_off_closes_the_consumer(consumer):
    consumer.polls = [([(0, 2)], {}), ([(0, 3)], {})]
    reading = read(TopicRanges(IDENTITY, tuple(ONE)), {}, Limits())
    next(reading)
    assert not consumer.instances[0].closed
    reading.close()
    assert consumer.instances[0].closed


@pytest.mark.parametrize("most", [1, 2, 3, 4, 9])
def test_at_most_so_many(consumer, most):
    consumer.polls = [([(0, 2), (0, 3), (0, 4)], {}), ([(0, 5)], {})]
    assert places_read(ONE, None, most) == [(0, o) for o in range(2, 6)][:most]
    assert len(consumer.polls) == (most <= 3), "more was read than was asked for"


def test_an_offset_without_a_record_counts_for_nothing(consumer):
    """Of compacted records, aborted ones and the marks of transactions offsets are left."""
    consumer.polls = [([(0, 2), (0, 4)], {}), ([(0, 5)], {})]
    assert places_read(ONE, None, 3) == [(0, 2), (0, 4), (0, 5)]


def test_records_that_do_not_come_are_an_error(consumer):
    consumer.polls = [([(0, 2)], {0: 4})]
    with pytest.raises(OffsetError, match="offsets 2:6: partition 0 ends at offset 4, and nothing"):
        places_read(ONE)
    consumer.polls = [([(0, 2)], {})]
    with pytest.raises(ReadError, match="offsets 2:6: no answer"):
        places_read(ONE)


def test_records_of_another_topic_are_not_given(consumer, monkeypatch):
    """Those that were fetched before the answer neither."""
    monkeypatch.setattr(FakeGuard, "error", TopicError("created again"))
    consumer.polls = [([(0, 2), (0, 3)], {}), ([(0, 4), (0, 5)], {})]
    found = []
    with pytest.raises(TopicError, match="created again"):
        found += filter(len, read(TopicRanges(IDENTITY, tuple(ONE)), {}, Limits()))
    assert not found
    consumer.polls = [([], MISSING)]
    with pytest.raises(TopicError, match="created again"):
        places_read(ONE)


@pytest.mark.parametrize(
    ("polls", "epoch"),
    [
        ([([], TRUNCATED)], None),
        ([([(0, 4)], {})], 2),
        ([([], {0: 0})], None),
        ([([], {0: 6})], None),
    ],
    ids=["other records before", "a later leader", "nothing comes", "the end comes, and no record"],
)
def test_the_offsets_of_another_topic_say_nothing(consumer, monkeypatch, polls, epoch):
    monkeypatch.setattr(FakeGuard, "error", TopicError("created again"))
    consumer.polls = polls
    with pytest.raises(TopicError, match="created again"):
        places_read([OffsetRange("t", 0, 2, 6, epoch)])


def test_a_topic_that_is_another_ends_the_silence(consumer, monkeypatch):
    monkeypatch.setattr(FakeGuard, "another", TopicError("created again"))
    consumer.polls = [([], {})]
    with pytest.raises(TopicError, match="created again"):
        list(read(TopicRanges(IDENTITY, tuple(ONE)), {}, Limits(), waits=True))


def test_an_offset_that_is_gone_is_an_error(consumer):
    consumer.polls = [([], MISSING)]
    with pytest.raises(OffsetError, match=r"offset 2 comes next, but all before 10 .*: 8 records"):
        places_read(ONE)


@pytest.mark.parametrize(
    ("epoch", "is_refused"), [(2, True), (3, False), (4, False), (None, False)]
)
def test_records_of_a_later_leader_were_not_there_when_the_range_was_chosen(
    consumer, epoch, is_refused
):
    """After the range they may be."""
    consumer.polls = [([(0, 2), (0, 3)], {}), ([(0, 4), (0, 5), (0, 6)], {})]
    wanted = [OffsetRange("t", 0, 2, 6, epoch)]
    if is_refused:
        with pytest.raises(OffsetError, match=r"offsets 2:6: records were lost, because a broker"):
            places_read(wanted)
    else:
        assert places_read(wanted) == [(0, 2), (0, 3), (0, 4), (0, 5)]


def test_a_log_with_others_before_the_range_is_an_error(consumer):
    consumer.polls = [([], TRUNCATED)]
    with pytest.raises(OffsetError, match=r"offsets 2:6: records were lost, because a broker"):
        places_read(ONE, epochs={ONE[0].source: 2})
    [made] = consumer.instances
    assert made.lineage.before(ONE[0].source, 2) == 2


def test_a_resumed_range_does_not_have_the_epoch_of_its_start(consumer):
    source = ONE[0].source
    consumer.polls = [([(0, 5)], {})]
    assert places_read(ONE, epochs={source: 2}, reached={source: 4}) == [(0, 5)]
    assert consumer.instances[0].lineage.before(source, 4) is None


def test_ranges_have_the_epoch_of_the_leader(found):
    ranges = resolve({}, Limits(), "t").ranges
    assert [each.leader_epoch for each in ranges] == [3, 4, 5]


def test_what_is_written_only_later_is_waited_for(consumer):
    consumer.polls = [([], {0: 2})] + [([], {})] * 9 + [([(0, 2), (0, 5)], {})]
    assert places_read(ONE, Limits(broker_timeout=1), waits=True) == [(0, 2), (0, 5)]


@few
@given(data=st.data())
def test_the_order_and_the_records_do_not_depend_on_arrival(data):
    """Nor on how little memory there is."""
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    wanted = [OffsetRange("t", p, 3, 3 + length) for p, length in enumerate(lengths)]
    expected = sorted(
        ((2 * o + 1) / (2 * length), p, 3 + o)
        for p, length in enumerate(lengths)
        for o in range(length)
    )
    left = {p: list(range(3, 3 + length + 2)) for p, length in enumerate(lengths)}

    class Arriving(FakeConsumer):
        """Gives records of any partition that is fetched, two after each stop as well."""

        instances: ClassVar[list] = []

        def poll(self, _timeout_s, _at_most=None):
            able = [p for p in left if left[p] and p not in {*self.paused, *self.left_out}]
            assert able, "nothing is fetched"
            chosen = data.draw(st.lists(st.sampled_from(able), min_size=1, max_size=5))
            places = [(p, left[p].pop(0)) for p in chosen if left[p]]
            return Polled(fill(message(bytes(100), None, p, o) for p, o in places))

    prefetch = data.draw(st.sampled_from([1, 1000, 4000, 1 << 20]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "Consumer", Arriving)
        found = places_read(wanted, Limits(prefetch_bytes=prefetch, broker_timeout=300))
    assert found == [(p, offset) for _, p, offset in expected]
    assert sorted(Arriving.instances[0].left_out) == list(range(len(lengths)))


def test_partitions_that_are_ahead_are_paused_and_resumed(monkeypatch):
    wanted = [OffsetRange("t", 0, 0, 9), OffsetRange("t", 1, 0, 9)]
    paused = []

    class Noting(FakeConsumer):
        polls: ClassVar[list] = [
            ([(0, o) for o in range(8)], {}),
            ([(1, o) for o in range(4)], {}),
            ([(1, o) for o in range(4, 9)], {}),
            ([(0, 8)], {}),
        ]

        def poll(self, *arguments):
            paused.append(set(self.paused))
            return super().poll(*arguments)

    monkeypatch.setattr(ranges, "Consumer", Noting)
    found = places_read(wanted, Limits(prefetch_bytes=2000, broker_timeout=300))
    assert found == [(p, o) for o in range(9) for p in (0, 1)]
    # At first all that may be held, 1,000 bytes, is there; then four records of 202 bytes are more
    # than a quarter of the partition's share.
    assert paused == [set(), {0}, {0}, set()]


def test_the_partition_that_is_awaited_is_never_paused(consumer):
    """However full the buffer is."""
    lengths = [4, 3, 2, 2]
    wanted = [OffsetRange("t", p, 0, length) for p, length in enumerate(lengths)]
    consumer.polls = [
        ([(1, 0), (2, 0), (3, 0)], {}),
        ([(0, offset) for offset in range(4)], {}),
        ([(1, 1), (1, 2), (2, 1), (3, 1)], {}),
    ]
    found = places_read(wanted, Limits(prefetch_bytes=1000, broker_timeout=300))
    assert len(found) == sum(lengths)
