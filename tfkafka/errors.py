"""Exceptions that tfkafka raises; the text of each is one line: what, where, what to do."""

from __future__ import annotations


class TfkafkaError(Exception):
    """Base of all errors that tfkafka raises on purpose."""


class BrokerError(TfkafkaError):
    """A Kafka broker could not be downloaded, started, reached or stopped."""


class TopicError(TfkafkaError):
    """A topic is missing, is there already, or does not have the asked-for shape."""


class WriteError(TfkafkaError):
    """At least one record was not acknowledged by the broker."""


class ConfigurationError(TfkafkaError, ValueError):
    """A setting of a Kafka client is not known, or its value is refused."""


class ReadError(TfkafkaError):
    """Records could not be read: broker gone, access refused, topic deleted while reading."""


class OffsetError(ReadError):
    """An offset is outside of its partition, or records that were asked for have been deleted."""


class CommitError(TfkafkaError):
    """The broker did not take a consumer group's offsets."""


class CheckpointError(TfkafkaError):
    """A checkpoint could not be saved or read, or its folder is in use or of another training."""


class PoisonedRecordError(TfkafkaError):
    """A record could not be decoded."""
