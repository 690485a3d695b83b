"""Records as confluent-kafka delivers them, without a broker."""

from confluent_kafka import KafkaError, Message

from tfkafka.chunk import Chunk
from tfkafka.client.fill import PythonFiller

# More bytes than the records of these tests have.
MOST_BYTES = 1 << 40


def message(
    value=b"v",
    key=None,
    partition=0,
    offset=0,
    topic="t",
    headers=None,
    kind=Message,
    leader_epoch=None,
):
    """A message, or one of a subclass; its time is 1,700,000,000,000 ms + its offset."""
    return kind(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        headers=headers,
        timestamp=(1, 1_700_000_000_000 + offset),
        leader_epoch=-1 if leader_epoch is None else leader_epoch,
    )


def fault(code, partition=0, offset=0, topic="t") -> Message:
    """What comes in place of a record: an error with this code."""
    return Message(topic=topic, partition=partition, offset=offset, error=KafkaError(code))


class Messages:
    """A consumer that has these messages."""

    def __init__(self, messages):
        self.messages = list(messages)

    def poll(self, _timeout_s):
        return self.messages.pop(0) if self.messages else None

    def consume(self, count, _timeout_s):
        taken, self.messages = self.messages[:count], self.messages[count:]
        return taken


def fill(messages, metadata=True) -> Chunk:
    """A chunk of these messages, as the filler makes it."""
    messages = list(messages)
    filler = PythonFiller(Messages(messages), metadata)
    return filler.fill(0.1, max(1, len(messages)), MOST_BYTES).chunk


def chunk(values, keys=None) -> Chunk:
    keys = [None] * len(values) if keys is None else keys
    pairs = enumerate(zip(values, keys, strict=True))
    return fill(message(value, key, offset=offset) for offset, (value, key) in pairs)
