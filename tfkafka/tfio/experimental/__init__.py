"""The Kafka part of tensorflow-io's `tfio.experimental`."""

from tfkafka.tfio.experimental import streaming

__all__ = ["streaming"]
