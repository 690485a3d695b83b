"""How tfkafka classifies Kafka's error codes.

Codes that begin with an underscore are librdkafka's own; the others come from a broker:
https://kafka.apache.org/protocol#protocol_error_codes
"""

from __future__ import annotations

import re

from confluent_kafka import KafkaError

# A broker is away, or a leader or coordinator moves; the client retries by itself.
TRANSIENT = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        # A broker was dropped from the metadata, with its unanswered requests (librdkafka 2.16).
        KafkaError._DESTROY_BROKER,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
    }
)
# There is no such topic or partition.
MISSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_ID,
    }
)
# The partition does not have the offset, and the client is set not to choose another.
OUT_OF_RANGE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._LOG_TRUNCATION,
    }
)
# The client's user lacks a right.
UNAUTHORIZED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
# The broker refuses this client permanently.
REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._SSL,
    }
)
# The same, for a call within a transaction.
HOPELESS = frozenset(
    {
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError.MSG_SIZE_TOO_LARGE,
    }
)
# A newer client of the same name may have taken over.
FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._FATAL,
    }
)
# The membership in a group was lost: its records are delivered again, to the new member.
LOST_MEMBERSHIP = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
# The metadata names a leader that does not know it yet, or that has been elected again since; or it
# names none, which librdkafka 2.16 calls no such entry.
NOT_YET_LED = frozenset(
    {
        KafkaError._NOENT,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        # A new leader does not know yet how far the records are committed.
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)
NOT_YET_LOADED = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)

# A commit did not reach a coordinator. librdkafka 2.16 waits only once until it has one, and a
# killed broker can be found again before another takes over.
WITHOUT_COORDINATOR = frozenset({KafkaError._WAIT_COORD, *NOT_YET_LOADED})

# How librdkafka 2.16 says that the leader has other records before an offset, or does not know any
# epochs. The errors' code is that of an offset that is out of range.
_TRUNCATED = re.compile(r"Partition log truncation detected .* broker end offset is (\d+)")
_NO_EPOCHS = "No epoch found less or equal"


def diverged_at(error: KafkaError) -> int | None:
    """Return the offset up to which a log is the one that was read; None: of any other error."""
    found = _TRUNCATED.search(error.str())
    return int(found[1]) if found and error.code() in OUT_OF_RANGE else None


def has_no_epochs(error: KafkaError) -> bool:
    """Return whether a leader cannot compare epochs: its log has an old message format."""
    return error.code() in OUT_OF_RANGE and _NO_EPOCHS in error.str()


def reason(error: KafkaError) -> str:
    """Return what an error means, in one line."""
    text = error.str()
    if "Static consumer fenced" in text:
        return (
            "another member of the group has the same group.instance.id and has taken over: give "
            "each member its own"
        )
    return text


def is_fencing(error: BaseException | None) -> bool:
    """Return whether a newer client of the same name may have taken over."""
    return _has_code(error, FENCED)


def is_without_coordinator(error: BaseException | None) -> bool:
    """Return whether a commit failed because a group has no coordinator at the moment."""
    return _has_code(error, WITHOUT_COORDINATOR)


def _has_code(error: BaseException | None, codes: frozenset[int]) -> bool:
    """Check the exception itself and its cause."""
    for each in (error, getattr(error, "__cause__", None)):
        reason = each.args[0] if each is not None and each.args else None
        if isinstance(reason, KafkaError) and reason.code() in codes:
            return True
    return False
