"""Topics that are missing, deleted or new."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka.admin import ClusterMetadata

from tfkafka.client import codes
from tfkafka.errors import ReadError, TfkafkaError, TopicError

Answer = TypeVar("Answer")
# For how long a broker may not have heard of a topic that was just created at another one.
NEW_TOPIC_S = 1.0
_AGAIN_S = 0.05
_HIDDEN = (", or this user may not see it", "create it, or grant this user DESCRIBE on it")


def ask_while_new(question: Callable[[], Answer], may_be_new: Callable[[], bool]) -> Answer:
    """Ask about a topic, again while the broker that is asked may not have heard of it yet.

    Args:
        question: raises TopicError where the broker that is asked does not know the topic.
        may_be_new: called after that, for NEW_TOPIC_S; whether it may have, later. A single broker
            knows all its topics.

    Raises what `question` raises, TopicError only where asking again does not help.
    """
    deadline = time.monotonic() + NEW_TOPIC_S
    while True:
        try:
            return question()
        except TopicError:
            if time.monotonic() > deadline or not may_be_new():
                raise
        time.sleep(_AGAIN_S)


def missing_topic(topic: str, servers: object, has_users: bool = False) -> TopicError:
    """Return the error to raise where there is no such topic.

    Args:
        has_users: whether the cluster may hide topics from a user without the right to see them.
    """
    seen, advice = ("", "create it first") if not has_users else _HIDDEN
    return TopicError(f"there is no topic {topic} on {servers}{seen}: {advice}", topic=topic)


def deleted_topic(topic: str, kind: type[TfkafkaError] = ReadError) -> TfkafkaError:
    """Return the error to raise where a topic is gone that was there before."""
    return kind(f"topic {topic} no longer exists: it was deleted while reading", topic=topic)


def is_deleted(metadata: ClusterMetadata, topic: str) -> bool:
    """Return whether an existing topic has been deleted, as the answer about it says."""
    error = metadata.topics[topic].error
    return error is not None and error.code() in codes.MISSING
