"""What to do with records that cannot be decoded, joined with the writer that keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from tfkafka import config
from tfkafka.client.producer import DeadLetterWriter
from tfkafka.decoding.bad_records import BadRecords, Policy, check_policy


def bad_records_policy(
    policy: Policy, topic: str | None, settings: Mapping[str, object]
) -> BadRecords:
    """Return what a reader with these settings does with records that cannot be decoded.

    Args:
        policy: see `BadRecords`.
        topic: of the dead letters; None: there is none.
        settings: of the consumer; the writer connects as it does.

    Raises ValueError where policy and topic do not go together.
    """
    check_policy(policy, topic)
    if topic is None:
        return BadRecords(policy)
    return BadRecords(policy, DeadLetterWriter(config.connection_settings(settings), topic))
