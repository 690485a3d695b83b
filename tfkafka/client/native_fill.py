"""The native filler: records go from librdkafka into columns without becoming Python's objects.

Partitions are forwarded to a queue of the native library, and confluent-kafka keeps the client: it
configures, assigns, commits and calls back.
"""

from __future__ import annotations

import ctypes
import struct
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator

import confluent_kafka
import numpy as np
from confluent_kafka import KafkaError
from numpy.typing import NDArray

from tfkafka._util.processes import Owner
from tfkafka.chunk import Chunk, Column, TopicPartition, concat
from tfkafka.client.fill import LINGER_S, Event, Filled, PythonFiller, refuse_header_name
from tfkafka.client.lineage import UNKNOWN, Lineage
from tfkafka.client.plugin import NativeClient
from tfkafka.native.filling import DRAINED, Filling, Layout, Room

# Of a record's value, key and headers, until the first records have said how large they are.
_FIRST_BYTES = (1024.0, 16.0, 0.0)
# Bytes for each of the three. Large records take several calls: room for thousands as large as the
# one before might be more memory than there is.
_LEAST_ROOM, _MOST_ROOM = 1 << 16, 16 << 20
# How much more room there is than for records as those before.
_MARGIN = 1.25


class NativeFiller:
    """Takes records from a queue of its own. See `Filler`.

    Args:
        consumer: confluent-kafka's. It must be closed after this filler: librdkafka would wait for
            the queue forever.
        client: the native library's.
        metadata: whether chunks have timestamps and headers.
        lineage: where the leaders' epochs of records are noted.
        on_error: the client's `error_cb`, which confluent-kafka cannot call while this fills.
    """

    def __init__(
        self,
        consumer: confluent_kafka.Consumer,
        client: NativeClient,
        metadata: bool,
        lineage: Lineage,
        on_error: Callable[[KafkaError], None],
    ):
        # For errors of the whole client.
        self._own = PythonFiller(consumer, metadata, lineage=lineage)
        self._metadata = metadata
        self._lineage = lineage
        self._on_error = on_error
        self._sources: list[TopicPartition] = []
        self._record_bytes: tuple[float, ...] = _FIRST_BYTES
        self._queue = _Queue(client)
        # For a consumer that nobody closes.
        weakref.finalize(consumer, self._queue.close)

    def expect(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Filler.expect`."""
        for source in partitions:
            if self._queue.forward(source) == len(self._sources):
                self._sources.append(source)

    def fill(self, timeout_s: float, at_most: int, most_bytes: int) -> Filled:
        """See `Filler.fill`."""
        own = self._own.fill(0 if self._sources else timeout_s, at_most, most_bytes)
        pieces, events = [own.chunk], [*own.events]
        wait_s = 0 if len(own.chunk) or events else timeout_s
        missing, room = at_most - len(own.chunk), Room(0, 0, 0)
        while self._sources and missing > 0:
            filling = self._filling(missing, min(most_bytes, _MOST_ROOM), room)
            self._queue.fill(filling, wait_s)
            events += self._events(filling)
            self._note_epochs(filling)
            if filling.records:
                pieces.append(self._chunk(filling))
                missing -= filling.records
                most_bytes -= len(filling.values[0])
            if filling.end == DRAINED or most_bytes <= 0:
                break
            # The next record may need more of each than there was.
            room, wait_s = Room(*map(max, room, filling.room_for_next())), 0
        return Filled(concat(pieces), events)

    def close(self) -> None:
        """See `Filler.close`."""
        self._queue.close()

    def _filling(self, records: int, most: int, least: Room) -> Filling:
        expected = (int(_MARGIN * records * each) for each in self._record_bytes)
        usual = (min(max(_LEAST_ROOM, each), most) for each in expected)
        return Filling(records, Room(*map(max, usual, least)), self._metadata)

    def _chunk(self, filling: Filling) -> Chunk:
        values, keys, headers = filling.values, filling.keys, filling.headers
        sizes = len(values[0]), len(keys[0]), 0 if headers is None else len(headers[0])
        self._record_bytes = tuple(size / filling.records for size in sizes)
        sources = filling.sources
        return Chunk(
            Column.of_buffer(*values),
            Column.of_buffer(*keys),
            tuple(self._sources),
            sources,
            filling.offsets,
            filling.timestamps,
            None if headers is None else self._headers(headers, sources, filling.offsets),
        )

    def _headers(
        self, layout: Layout, sources: NDArray[np.int32], offsets: NDArray[np.int64]
    ) -> NDArray[np.object_]:
        buffer, bounds, _ = layout
        found = np.fromiter(([] for _ in sources), object, len(sources))
        for index in np.flatnonzero(np.diff(bounds)).tolist():
            data = buffer[bounds[index] : bounds[index + 1]].tobytes()
            try:
                found[index] = list(_headers_in(data))
            except UnicodeDecodeError:
                refuse_header_name(self._sources[sources[index]], int(offsets[index]))
        return found

    def _events(self, filling: Filling) -> Iterator[Event]:
        for offset, source, code, reason in filling.events:
            error = KafkaError(code, reason.partition(b"\0")[0].decode(errors="replace"))
            if source < 0:
                self._on_error(error)
            else:
                yield Event(error, self._sources[source], offset if offset >= 0 else None)

    def _note_epochs(self, filling: Filling) -> None:
        for offset, source, epoch in filling.epochs:
            known = None if epoch == UNKNOWN else epoch
            if known != self._lineage.latest(self._sources[source]):
                self._lineage.note(self._sources[source], offset, known)


class _Queue:
    """The native library's queue of a client, which any thread may close."""

    def __init__(self, client: NativeClient):
        self._library = client.library
        self._owner = Owner()
        self._lock = threading.Lock()
        # A thread that fills again and again would hardly ever let another one have the lock.
        self._is_closing = False
        self._handle: int | None = client.library.tk_open(client.pointer)
        if self._handle is None:
            raise MemoryError

    def forward(self, source: TopicPartition) -> int | None:
        """Forward a partition here, before it is assigned, and return the index of its records.

        Return None once this is closed: closing a client may call back with an assignment.
        """
        with self._lock:
            if self._handle is None:
                return None
            index: int = self._library.tk_forward(
                self._handle, source.topic.encode(), source.partition
            )
        if index < 0:
            raise MemoryError
        return index

    def fill(self, filling: Filling, timeout_s: float) -> None:
        """Fill with what arrives; with nothing once this is closed."""
        if self._is_closing:
            return
        with self._lock:
            if self._handle is not None:
                self._library.tk_fill(
                    self._handle,
                    ctypes.byref(filling.parameters),
                    int(1000 * timeout_s),
                    int(1000 * LINGER_S),
                )

    def close(self) -> None:
        """Destroy the queue; safe to call twice, and in a forked child."""
        if not self._owner.is_here():
            return
        self._is_closing = True
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._library.tk_close(handle)


def _headers_in(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    at = 0
    while at < len(data):
        name, at = _part(data, at)
        value, at = _part(data, at)
        yield (name or b"").decode(), value


def _part(data: bytes, at: int) -> tuple[bytes | None, int]:
    (size,) = struct.unpack_from("=i", data, at)
    start, stop = at + 4, at + 4 + max(0, size)
    return (None if size < 0 else data[start:stop]), stop
