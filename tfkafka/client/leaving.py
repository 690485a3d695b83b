"""How a member of a group leaves: its partitions are given back before librdkafka closes."""

from __future__ import annotations

import time

import confluent_kafka

# How long a member that leaves waits for its partitions to be revoked.
GIVE_BACK_S = 5.0
_SERVE_S = 0.01
_MOST_RECORDS = 10_000


def give_back(consumer: confluent_kafka.Consumer, stays: bool) -> None:
    """Have the partitions revoked while librdkafka does not close yet.

    If a rebalance is under way, a librdkafka that closes (2.16) does not wait for the callback,
    and can lose what confluent-kafka then asks for. That waits forever, with Python's lock, so
    that the whole process hangs (librdkafka#4884).

    Args:
        stays: whether the member stays in the group: its partitions remain assigned to it, and
            only the callbacks that are due are called.
    """
    if not stays:
        consumer.unsubscribe()
    deadline = time.monotonic() + GIVE_BACK_S
    while _serve(consumer, stays) or (not stays and consumer.assignment()):
        if time.monotonic() > deadline:
            break


def _serve(consumer: confluent_kafka.Consumer, stays: bool) -> bool:
    """Call the callbacks that are due; return whether there may be more of them."""
    if stays:
        # Its partitions stay assigned, or are assigned again: else records would always come.
        consumer.pause(consumer.assignment())
    # Records that are still there are delivered again, to whoever gets the partitions.
    return bool(consumer.consume(_MOST_RECORDS, _SERVE_S))
