"""Exceptions that tfkafka raises. Each message is one line: what, where, what to do.

Each has `topic`, `partition` and `offset` attributes, None where they do not apply. They are::

    TfkafkaError
    ├── BrokerError           a broker could not be started, reached or stopped
    ├── TopicError            a topic is missing, already exists, or has a different shape
    ├── ConfigurationError    a setting is unknown or refused (also a ValueError)
    ├── ReadError             records could not be read
    │   └── OffsetError       an offset is outside its partition, or records are gone
    ├── WriteError            a record was not acknowledged
    ├── CommitError           the broker refused a group's offsets
    ├── BadRecordError        a record could not be decoded
    ├── PredictionsError      there is not exactly one finite prediction for each input
    ├── ManifestError         a manifest cannot be read, or describes other records
    ├── CheckpointError       a checkpoint could not be saved or read, or is not worth saving
    ├── MetricsError          metrics cannot be served
    ├── ProcessError          another process of a distributed training has ended or failed
    ├── ForkError             it belongs to the process that this one was forked from
    └── TransactionError      a transaction failed, and a retry will not help
        ├── AbortedError      it was aborted: the producer can begin another
        ├── UnusableError     a client hangs or has failed: new ones are needed
        └── FencedError       the broker refuses this client permanently
"""

from __future__ import annotations


class TfkafkaError(Exception):
    """Base class of all errors that tfkafka raises on purpose.

    Attributes:
        topic: the name of the topic; None where the error concerns no topic, or several.
        partition: the number of the partition; None where the error concerns no single one.
        offset: the offset of the record in question, or the one that was requested; None where
            there is none.
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
    """A topic is missing, already exists, or does not have the requested shape."""


class ConfigurationError(TfkafkaError, ValueError):
    """A setting of a Kafka client is unknown, or its value is refused."""


class ReadError(TfkafkaError):
    """Records could not be read: broker away, access refused, or topic deleted while reading."""


class OffsetError(ReadError):
    """An offset is outside its partition, or the requested records have been deleted."""


class WriteError(TfkafkaError):
    """At least one record was not acknowledged by the broker."""


class CommitError(TfkafkaError):
    """The broker did not accept a consumer group's offsets."""


class BadRecordError(TfkafkaError):
    """A record could not be decoded."""


class PredictionsError(TfkafkaError):
    """There is not exactly one committed, finite prediction for each input."""


class ManifestError(TfkafkaError, ValueError):
    """A manifest or state cannot be read, or does not belong to what it is used with."""


class CheckpointError(TfkafkaError):
    """A checkpoint could not be saved or read, or has weights that are not finite.

    Or its folder is in use, or belongs to another training, or has no exported model that fits.
    """


class MetricsError(TfkafkaError):
    """Metrics cannot be served: the port is in use, or prometheus-client is not installed."""


class ProcessError(TfkafkaError):
    """Another process of those that learn together has ended or failed: all of them end."""


class ForkError(TfkafkaError):
    """A client, a dataset's iteration or a thread belongs to the process that forked this one."""


class TransactionError(TfkafkaError):
    """A transaction failed for a reason that a retry will not change."""


class AbortedError(TransactionError):
    """The transaction was aborted: none of it counts, and the producer can begin another."""


class UnusableError(TransactionError):
    """A client hangs or has failed permanently: new clients can continue."""


class FencedError(TransactionError):
    """The broker refuses this client permanently: a newer one has its name, or it is too late."""
