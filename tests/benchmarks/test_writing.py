"""Writing 60,000 records: the tutorial's producer, tfkafka's, and the ceilings."""

import pytest

from tests.benchmarks.catalogue import FEWER_ROUNDS, TFKAFKA, records
from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side

pytestmark = pytest.mark.bench


def test_writing(compare, kafka, topic, messages, java):
    size = sum(map(len, messages.values)) + sum(map(len, messages.keys))
    target = Topic(kafka.bootstrap_servers, topic, len(messages), size)
    where = {**target.where, **records(messages)}
    sides = [
        Side(TFKAFKA, "subject", "writing:tfkafka", where),
        Side("confluent-kafka's bare loop", "ceiling", "writing:bare_loop", where),
        Side("kafka-python, the tutorial's code", "alternative", "writing:kafka_python", where),
    ]
    if java:
        tool = {**target.where, "values": messages.values, **java}
        sides.insert(2, Side("Java's ProducerPerformance", "ceiling", "java:producer", tool))
    compare("write", "write", "Write 60,000 records", target, sides, FEWER_ROUNDS)
