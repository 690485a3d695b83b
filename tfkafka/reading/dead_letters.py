"""The policy for records that cannot be decoded, with the writer of the dead letter topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfkafka import config
from tfkafka.client.cluster import Cluster
from tfkafka.client.producer import DeadLetterWriter
from tfkafka.config import Limits
from tfkafka.decoding.bad_records import BadRecords, Policy, check_policy
from tfkafka.errors import TopicError


def bad_records_policy(
    policy: Policy,
    topic: str | None,
    settings: Mapping[str, object],
    limits: Limits,
    read: Sequence[str],
) -> BadRecords:
    """Return the `BadRecords` of a reader with these settings.

    Args:
        policy: see `BadRecords`.
        topic: the dead letter topic; None: there is none.
        settings: the consumer's settings; the writer connects as the consumer does.
        limits: how long a broker may be away.
        read: the topics that are read.

    Raises:
        TypeError, ValueError: see `check_policy`.
        TopicError: the dead letter topic does not exist.
        ReadError: no broker answers.
    """
    check_policy(policy, topic, read)
    if topic is None:
        return BadRecords(policy)
    refuse_missing(topic, settings, limits)
    return BadRecords(policy, DeadLetterWriter(config.connection_settings(settings), topic))


def refuse_missing(topic: str, settings: Mapping[str, object], limits: Limits) -> None:
    """Raise TopicError where there is no such dead letter topic.

    Brokers that create topics would create it, also where its name is misspelt.
    """
    try:
        Cluster(settings, limits.broker_timeout).partitions(topic)
    except TopicError as error:
        raise TopicError(f"dead_letter_topic: {error}", topic=topic) from None
