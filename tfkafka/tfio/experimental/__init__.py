"""tensorflow-io's `tfio.experimental`, as far as it is about Kafka."""

from tfkafka.tfio.experimental import streaming

__all__ = ["streaming"]
