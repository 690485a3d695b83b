"""The policy for records that cannot be decoded, with the writer of the dead letter topic."""

from __future__ import annotations

from collections.abc import Mapping

from tfkafka import config
from tfkafka.client.producer import DeadLetterWriter
from tfkafka.decoding.bad_records import BadRecords, Policy, check_policy


def bad_records_policy(
    policy: Policy, topic: str | None, settings: Mapping[str, object]
) -> BadRecords:
    """Return the `BadRecords` of a reader with these settings.

    Args:
        policy: see `BadRecords`.
        topic: the dead letter topic; None: there is none.
        settings: the consumer's settings; the writer connects as the consumer does.

    Raises ValueError where policy and topic do not go together.
    """
    check_policy(policy, topic)
    if topic is None:
        return BadRecords(policy)
    return BadRecords(policy, DeadLetterWriter(config.connection_settings(settings), topic))
