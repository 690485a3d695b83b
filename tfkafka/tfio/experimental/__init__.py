"""The Kafka part of tensorflow-io's `tfio.experimental`."""

from tfkafka.tfio.experimental import serialization, streaming

__all__ = ["serialization", "streaming"]
