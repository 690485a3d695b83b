"""How far behind the ends of its partitions a reader is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

from tfkafka._util.background import in_background
from tfkafka.chunk import Positions, TopicPartition

# Whoever asks for the lag waits no longer than this for Kafka.
PATIENCE_S = 1.0


class Lag:
    """The lag of a reader, in offsets, as Kafka's tools count it. Any thread may ask for it.

    Args:
        end_offsets: asks Kafka where partitions end; it may raise, or wait for long.
        committed: returns the next offset of each partition.
    """

    def __init__(
        self,
        end_offsets: Callable[[Iterable[TopicPartition]], Positions],
        committed: Callable[[], Positions],
    ):
        self._end_offsets, self._committed = end_offsets, committed
        self._asked: Future[Positions] | None = None
        self._lock = threading.Lock()

    def ask(self, patience_s: float = PATIENCE_S) -> dict[TopicPartition, int] | None:
        """Return the lag of each partition; None where Kafka does not answer within `patience_s`.

        A later call takes the answer that came too late, where it does not wait itself.
        """
        committed = self._committed()
        if not committed:
            return {}
        with self._lock:
            # One question at a time: where a broker is away, it may take as long as a time-out.
            is_late = self._asked is not None and self._asked.done()
            if self._asked is None or (is_late and patience_s > 0):
                self._asked = in_background(lambda: self._end_offsets(committed))
            asked = self._asked
        if not wait([asked], patience_s).done:
            return None
        with self._lock:
            if self._asked is asked:
                self._asked = None
        if asked.exception() is not None:
            return None
        ends = asked.result()
        # After a question that took long, other partitions may be assigned.
        return {s: max(0, ends[s] - offset) for s, offset in committed.items() if s in ends}
