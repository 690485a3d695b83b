"""Reading ahead: order, errors, the end of the thread, and the bound on memory."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.test_identity import FakeCluster
from tests.unit.messages import chunk
from tests.unit.properties import TEXT, few
from tfkafka.chunk import empty
from tfkafka.client.identity import TopicGuard
from tfkafka.errors import ReadError
from tfkafka.reading.prefetch import Prefetch, Prepared, read_ahead

ROOM = 1 << 30


def chunks(*values: bytes):
    """A chunk of one record for each value."""
    return [chunk([value]) for value in values]


def values_of(prepared) -> bytes:
    [value] = prepared.chunk.values.entries
    return value


def taken(source, capacity: int = ROOM) -> list:
    return [values_of(prepared) for prepared in read_ahead(source, capacity)]


def generator(made, error: Exception | None = None):
    """What `read_ahead` calls: yields these chunks, then raises."""

    def read():
        yield from made
        if error is not None:
            raise error

    return read


def wait_until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "tfkafka-read"]


@few
@given(
    values=st.lists(TEXT, max_size=12),
    capacity=st.integers(1, 400),
)
def test_each_chunk_comes_once_in_order(values, capacity):
    """None: an empty chunk, as read where there are no records."""
    made = [empty() if value is None else chunk([value]) for value in values]
    expected = [value for value in values if value is not None]
    assert taken(generator(made), capacity) == expected


def test_the_next_chunk_is_read_while_one_is_used():
    readers = []

    def reading():
        for each in chunks(b"1", b"2"):
            readers.append(threading.current_thread().name)
            yield each

    reader = read_ahead(reading, ROOM)
    next(reader)
    wait_until(lambda: not threads())
    assert readers == ["tfkafka-read"] * 2
    assert [values_of(each) for each in reader] == [b"2"]


@pytest.mark.parametrize("capacity", [1, ROOM])
def test_what_came_before_an_error_is_delivered_first(capacity):
    seen = []
    failing = generator(chunks(b"1", b"2"), ValueError("the broker is gone"))
    with pytest.raises(ValueError, match="gone"):
        for prepared in read_ahead(failing, capacity):
            time.sleep(0.01)
            seen.append(values_of(prepared))
    assert seen == [b"1", b"2"]
    wait_until(lambda: not threads())


@pytest.mark.parametrize("capacity", [1, ROOM])
def test_closing_ends_the_thread_and_the_reading(capacity):
    closed = []

    def endless():
        try:
            while True:
                time.sleep(0.001)
                yield chunk([b"1"])
        finally:
            closed.append(threading.current_thread().name)

    reader = read_ahead(endless, capacity)
    next(reader)
    reader.close()
    wait_until(lambda: not threads())
    assert closed == ["tfkafka-read"]


def test_closing_ends_a_silent_reading():
    def silent():
        yield chunk([b"1"])
        while True:
            time.sleep(0.001)
            yield empty()

    reader = read_ahead(silent, ROOM)
    next(reader)
    reader.close()
    wait_until(lambda: not threads())


@few
@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=12), capacity=st.integers(1, 1500))
def test_no_more_than_the_capacity_and_one_chunk_is_held(sizes, capacity):
    made = [chunk([bytes(size)]) for size in sizes]
    read, held_before = [], []
    taken = 0

    def held(stop: int) -> int:
        return sum(each.nbytes for each in made[taken:stop])

    def reading():
        for number, each in enumerate(made):
            held_before.append(held(number))
            read.append(each)
            yield each

    reader = read_ahead(reading, capacity)
    for taken in range(1, len(made) + 1):
        next(reader)
        # It reads on until the buffer is full, and no further.
        full = [stop for stop in range(taken, len(made)) if held(stop) >= capacity]
        expected = min(full, default=len(made))
        wait_until(lambda: len(read) == expected)  # noqa: B023
    assert list(reader) == []
    assert max(held_before) < capacity


def test_reading_waits_while_the_buffer_is_full():
    made = chunks(*[b"x"] * 9)
    read = []

    def reading():
        for each in made:
            read.append(each)
            yield each

    capacity = 3 * made[0].nbytes
    reader = read_ahead(reading, capacity)
    next(reader)
    wait_until(lambda: len(read) == 4)  # three are held, one is taken
    time.sleep(0.05)
    assert len(read) == 4
    next(reader)
    wait_until(lambda: len(read) == 5)
    reader.close()


@pytest.fixture
def buffer():
    """A buffer of 100 bytes whose thread ends when it is closed."""
    buffer = Prefetch(lambda self: self.wait_for_room(None, lambda: self.is_closing), 100, "test")
    yield buffer
    buffer.is_closing = True


def test_there_is_room_until_the_capacity_is_held(buffer):
    assert buffer.has_room() and buffer.is_empty()
    buffer.put(Prepared(chunk([b"x"])))
    buffer.put(Prepared(chunk([bytes(100)])))
    assert not buffer.has_room() and not buffer.is_empty()
    assert not buffer.wait_for_room(0.0)
    assert buffer.wait_for_room(0.0, lambda: True)
    buffer.take()
    assert not buffer.has_room()
    buffer.take()
    assert buffer.has_room() and buffer.take() is None


def test_is_done_once_all_is_taken():
    buffer = Prefetch(lambda self: self.put(Prepared(chunk([b"x"]))), 1, "test")
    assert not buffer.is_done()
    buffer.start()
    buffer.close()
    assert not buffer.is_done()
    assert buffer.take() is not None
    assert buffer.is_done() and buffer.take() is None
    buffer.close()


def test_close_from_its_own_thread_does_not_wait():
    ended = threading.Event()

    def read(buffer: Prefetch) -> None:
        assert buffer.is_own_thread()
        buffer.close()
        ended.set()

    buffer = Prefetch(read, 1, "test")
    assert not buffer.is_own_thread()
    buffer.start()
    assert ended.wait(5)


@pytest.fixture
def checked():
    """checked(read): a buffer that closes its guard on leaving, as a member of a group does.

    The answer about the first chunk's topic takes long, and the check of the next one waits for it.
    """
    cluster = FakeCluster(t="1")
    guard = TopicGuard(cluster)
    guard.learn("t")

    def read(buffer: Prefetch, end) -> None:
        cluster.may_answer.clear()
        buffer.put(Prepared(chunk([b"1"]), check=guard.ask(["t"])))
        wait_until(lambda: not guard._checks)
        buffer.put(Prepared(chunk([b"2"]), check=guard.ask(["t"])))
        end(buffer)

    def made(end) -> Prefetch:
        def leave() -> None:
            guard.close()
            cluster.may_answer.set()

        buffer = Prefetch(lambda self: read(self, end), ROOM, "test", leave)
        buffer.start()
        return buffer

    yield made
    guard.close()


def test_what_ended_the_reading_is_raised_where_a_check_was_given_up(checked):
    def fail(_buffer: Prefetch) -> None:
        raise ReadError("the broker is gone")

    buffer = checked(fail)
    wait_until(lambda: (first := buffer.take()) is not None and values_of(first) == b"1")
    with pytest.raises(ReadError, match="the broker is gone"):
        wait_until(lambda: buffer.take() is not None)


def test_nothing_is_taken_where_closing_gave_up_a_check(checked):
    is_read = threading.Event()

    def wait(buffer: Prefetch) -> None:
        is_read.set()
        wait_until(lambda: buffer.is_closing)

    buffer = checked(wait)
    assert is_read.wait(10) and buffer.close()
    wait_until(lambda: (first := buffer.take()) is not None and values_of(first) == b"1")
    wait_until(lambda: buffer._buffer[0].check.done())
    assert buffer.take() is None and not buffer.is_empty()
