"""Writing records: the tutorial's producer, tfkafka's, and the ceilings."""

import numpy as np
import pytest

from tests.benchmarks.catalogue import FEWER_ROUNDS, TFKAFKA, c_produce_loop, fillers, records
from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side

pytestmark = pytest.mark.bench


REPEATS = 10


def test_writing_columns(compare, kafka, topic, messages, c_library):
    """C's loop has the settings of tfkafka's own client."""
    features = np.tile(messages.features, (REPEATS, 1))
    target = Topic(kafka.bootstrap_servers, topic, len(features), features.nbytes)
    sides = [
        *fillers("writing:tfkafka_columns", {**target.where, "features": features}),
        *c_produce_loop(target, features, c_library),
    ]
    title = f"Write {len(features):,} records from columns"
    compare("write-columns", "write", title, target, sides, FEWER_ROUNDS)


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
