"""Exceptions that tfkafka raises; the text of each is one line: what, where, what to do.

Each has `topic`, `partition` and `offset` as data, None where it is not about one of these.

TfkafkaError
├── BrokerError           a broker could not be started, reached or stopped
├── TopicError            a topic is missing, exists already, or has another shape
├── ConfigurationError    a setting is unknown or refused (also a ValueError)
├── ReadError             records could not be read
│   └── OffsetError       an offset is outside its partition, or records are gone
├── WriteError            a record was not acknowledged
├── CommitError           offsets of a group were refused
├── BadRecordError       a record could not be decoded
├── PredictionsError      predictions are not one for each input
├── ManifestError         a manifest cannot be read, or is of other records
├── CheckpointError       a checkpoint could not be saved or read
└── TransactionError      a transaction failed, and another attempt will not change that
    ├── AbortedError      it was aborted: the producer can begin another
    ├── UnusableError     a client hangs or has failed: new ones are needed
    └── FencedError       the broker refuses this client for good
"""

from __future__ import annotations


class TfkafkaError(Exception):
    """Base of all errors that tfkafka raises on purpose.

    Attributes:
        topic: the name of the topic that the error is about; None where it is about none, or
            about several.
        partition: its number; None where the error is about no single partition.
        offset: of the record that the error is about, or that was asked for; None where there is
            none.
    """

    def __init__(
        self,
        message: str,
        *,
        topic: str | None = None,
        partition: int | None = None,
        offset: int | None = None,
    ):
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.offset = offset


class BrokerError(TfkafkaError):
    """A Kafka broker could not be downloaded, started, reached or stopped."""


class TopicError(TfkafkaError):
    """A topic is missing, exists already, or does not have the requested shape."""


class ConfigurationError(TfkafkaError, ValueError):
    """A setting of a Kafka client is unknown, or its value is refused."""


class ReadError(TfkafkaError):
    """Records could not be read: broker gone, access refused, topic deleted while reading."""


class OffsetError(ReadError):
    """An offset is outside its partition, or records that were asked for have been deleted."""


class WriteError(TfkafkaError):
    """At least one record was not acknowledged by the broker."""


class CommitError(TfkafkaError):
    """The broker did not accept a consumer group's offsets."""


class BadRecordError(TfkafkaError):
    """A record could not be decoded."""


class PredictionsError(TfkafkaError):
    """Committed predictions are not exactly one for each input."""


class ManifestError(TfkafkaError, ValueError):
    """A manifest or a state cannot be read, or is not of what it is used for."""


class CheckpointError(TfkafkaError):
    """A checkpoint could not be saved or read, or its folder is in use or of another training."""


class TransactionError(TfkafkaError):
    """A transaction failed for a reason that another attempt will not change."""


class AbortedError(TransactionError):
    """The transaction was aborted: nothing of it counts, and the producer can begin another."""


class UnusableError(TransactionError):
    """A client hangs or has failed for good: new clients can go on."""


class FencedError(TransactionError):
    """The broker refuses this client for good: for a newer one of the same name, or as too late."""
