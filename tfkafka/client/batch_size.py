"""How large the batches of records may be that a producer sends to a topic."""

from __future__ import annotations

from collections.abc import Mapping

from tfkafka.client.cluster import Cluster
from tfkafka.errors import BrokerError

# With 100 kB (see config.WRITER_DEFAULTS), an idempotent producer of librdkafka 2.16 takes 1.2 to
# 3.7 times as much CPU time for a record: it may have five requests under way, and is busy waiting.
LARGE = 1_000_000
_LIMIT = "max.message.bytes"
_ASK_MS = 2000


def takes_large_batches(settings: Mapping[str, object], topic: str) -> bool:
    """Return whether a topic takes batches of `LARGE` bytes; False where it is not known.

    It limits whole batches: where one is larger, none of its records is written.

    Args:
        settings: settings of the connection. The cluster has been reached by them before.
        topic: the topic.
    """
    cluster = Cluster(settings, _ASK_MS, BrokerError, was_reached=True)
    try:
        entries = cluster.topic_settings(topic)
    except BrokerError:
        return False
    try:
        return int(entries[_LIMIT].value or 0) >= LARGE
    except (KeyError, ValueError):
        # What only speaks Kafka's protocol may leave it out, or have no value for it.
        return False
