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
