"""Has the broker compare the offsets at which reading begins with its log (KIP-320).

librdkafka 2.16 has it do that after a change of leaders and on seeking; on assigning, only where it
learns of the leader afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from tfkafka.chunk import Chunk, Positions, TopicPartition
from tfkafka.client.lineage import Lineage

# The partition is not fetched yet, since earlier ones are still being stopped.
_NOT_STARTED = frozenset({KafkaError._STATE, KafkaError._PREV_IN_PROGRESS})


class Validation:
    """The starts that are not validated yet: of their partitions no record may be delivered.

    What librdkafka had fetched before it was asked to validate a start is thrown away.

    Args:
        consumer: confluent-kafka's.
        lineage: has the leaders' epochs of the records before the starts; a start without one
            cannot be validated.
    """

    def __init__(self, consumer: confluent_kafka.Consumer, lineage: Lineage):
        self._consumer = consumer
        self._lineage = lineage
        self._waiting: dict[TopicPartition, int] = {}

    def add(self, positions: Positions) -> None:
        """Add partitions that were just assigned, with the offsets to begin at."""
        for source, offset in positions.items():
            if offset > 0 and self._lineage.before(source, offset) is not None:
                self._waiting[source] = offset
        self.ask()

    def drop(self, partitions: Iterable[TopicPartition]) -> Positions:
        """Forget partitions, and return the starts of those that were not validated yet."""
        return {
            source: self._waiting.pop(source) for source in partitions if source in self._waiting
        }

    def drop_all(self) -> None:
        """Forget all partitions."""
        self._waiting.clear()

    def ask(self) -> None:
        """Ask about those that are being fetched by now. Raises KafkaException."""
        for source, offset in list(self._waiting.items()):
            try:
                self._consumer.seek(*self._lineage.to_read({source: offset}))
            except KafkaException as error:
                if error.args[0].code() not in _NOT_STARTED:
                    raise
            else:
                del self._waiting[source]

    def is_waiting(self, source: TopicPartition | None) -> bool:
        """Return whether a partition's start is not validated yet."""
        return source in self._waiting

    def without_waiting(self, chunk: Chunk) -> Chunk:
        """Return the records of the partitions whose start is validated."""
        return chunk.without(self._waiting) if self._waiting else chunk
