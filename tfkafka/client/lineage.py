"""Which records are before an offset: those of a topic, written under its leaders.

An offset says nothing if a topic was created again, or if a broker without the last records became
the leader and others were written in their place. So offsets carry the topic's id, and the epoch
of the leader under which the record before them was written: each new leader has a greater epoch.
From the epoch a broker knows where its log and the one that was read diverged (KIP-320).
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

import confluent_kafka

from tfkafka.chunk import Positions, TopicPartition
from tfkafka.client.identity import Identities

# What confluent-kafka takes for an unknown epoch.
UNKNOWN = -1
# Offsets that a tool copied from another cluster have its metadata too: then that says nothing.
_METADATA = "topic-id={} cluster-id={}"
_WRITTEN = re.compile(_METADATA.format(r"(\S+)", r"(\S+)"))

# Offsets as confluent-kafka takes them.
Places = list[confluent_kafka.TopicPartition]

_log = logging.getLogger(__name__)


class Committed(NamedTuple):
    """A committed offset, and the leader's epoch of the record before it; None: unknown."""

    offset: int
    leader_epoch: int | None = None


class Lineage:
    """The topics' identities, and the leaders' epochs of the records that a consumer has read.

    One thread may note epochs while others ask.

    Args:
        known: the identities of topics that are known so far, now and later.
    """

    def __init__(self, known: Identities | None = None):
        self._known = known or Identities()
        # For each partition the offsets from which on records have another epoch, ascending.
        self._epochs: dict[TopicPartition, list[tuple[int, int]]] = {}
        self._ignored: set[TopicPartition] = set()

    def note(self, source: TopicPartition, offset: int, epoch: int | None) -> None:
        """Note that the records from `offset` on have this epoch, until another one is noted."""
        earlier = [each for each in self._epochs.get(source, ()) if each[0] < offset]
        # A new list, since other threads may look into the one before.
        self._epochs[source] = [*earlier, (offset, UNKNOWN if epoch is None else epoch)]

    def begin(self, source: TopicPartition, offset: int, epoch: int | None) -> None:
        """Note that reading begins at `offset`, and the epoch of the record before it."""
        self.note(source, offset - 1, epoch)

    def ignore(self, source: TopicPartition) -> None:
        """Let the epochs of a partition be unknown from now on: its leader knows none."""
        self._ignored.add(source)

    def latest(self, source: TopicPartition) -> int | None:
        """Return the epoch that was noted last; None: unknown."""
        epochs = self._epochs.get(source)
        return _epoch(epochs[-1][1]) if epochs else None

    def before(self, source: TopicPartition, offset: int) -> int | None:
        """Return the epoch of the last record before an offset; None: unknown, or ignored."""
        if source in self._ignored:
            return None
        epochs = self._epochs.get(source, [])
        number = bisect_left(epochs, (offset, UNKNOWN)) - 1
        return _epoch(epochs[number][1]) if number >= 0 else None

    def to_read(self, positions: Positions) -> Places:
        """Return offsets for a consumer, which has the broker compare their epochs."""
        return [self._place(source, offset) for source, offset in positions.items()]

    def to_commit(self, positions: Positions) -> Places:
        """Return offsets for a commit, with the identities of their topics."""
        return [
            self._place(source, offset, self._metadata(source.topic))
            for source, offset in positions.items()
        ]

    def committed(
        self, places: Iterable[confluent_kafka.TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return the offsets among a group's that are of the topics as they are now.

        Those of an earlier topic of the same name count for nothing: Kafka deletes them with their
        topic, but not at once.
        """
        found: dict[TopicPartition, Committed] = {}
        earlier: dict[str, str] = {}
        for place in places:
            if place.offset < 0:
                continue
            written = _WRITTEN.fullmatch(place.metadata or "")
            if written and self._is_earlier(place.topic, *written.groups()):
                earlier[place.topic] = written[1]
            else:
                source = TopicPartition(place.topic, place.partition)
                found[source] = Committed(place.offset, _epoch(place.leader_epoch))
        for topic, topic_id in earlier.items():
            _log.warning(
                "topic %s was deleted and created again (its id is %s, was %s): the group's "
                "committed offsets are those of the earlier topic, and are not used",
                topic,
                self._known.topics[topic],
                topic_id,
            )
        return found

    def _is_earlier(self, topic: str, topic_id: str, cluster: str) -> bool:
        known = self._known.topics.get(topic)
        return cluster == self._known.cluster and known is not None and known != topic_id

    def _metadata(self, topic: str) -> str:
        topic_id = self._known.topics.get(topic)
        return "" if topic_id is None else _METADATA.format(topic_id, self._known.cluster)

    def _place(
        self, source: TopicPartition, offset: int, metadata: str = ""
    ) -> confluent_kafka.TopicPartition:
        epoch = self.before(source, offset)
        return confluent_kafka.TopicPartition(
            *source, offset, metadata, UNKNOWN if epoch is None else epoch
        )


def _epoch(found: int | None) -> int | None:
    return None if found is None or found < 0 else found
