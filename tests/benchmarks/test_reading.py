"""Reading, raw and decoded: both readers, the ceilings, and what people write themselves."""

import pytest

from reproduction.report.benchmarks import BELOW
from tests.benchmarks.bounds import Floors, complaint
from tests.benchmarks.catalogue import (
    FEWER_ROUNDS,
    TFKAFKA,
    bare_loop,
    consumer_performance,
    record_by_record,
    records,
    tensorflow_io,
    tutorials,
)
from tests.benchmarks.topics import Topic
from tests.benchmarks.turns import take_turns
from tests.benchmarks.worker import Side
from tests.tutorial import BATCH_SIZE

pytestmark = pytest.mark.bench

FEW = 10_000
ORDERED = 600_000
# How many times as long as it reads the slowed reader sleeps.
SLOWNESS = 10.0


def test_reading_raw(compare, train_topic, java):
    sides = [
        Side(TFKAFKA, "subject", "reading:tfkafka_raw", train_topic.place),
        bare_loop(train_topic),
        *consumer_performance(train_topic, java),
        tutorials("reading:tutorial_raw", train_topic.place),
        *tensorflow_io("reading:tutorial_raw", train_topic.place, default=False),
    ]
    compare("read", "read", "Read 60,000 records, not decoded", train_topic, sides)


def test_reading_and_decoding(compare, train_topic, java, messages):
    title = "Read and decode 60,000 records"
    compare("decode", "decode", title, train_topic, ceilings(train_topic, java, messages))


def test_the_order_of_four_partitions(compare, make_filled):
    """What it costs that several partitions have one order, whichever of them is fetched first."""
    alone, spread = make_filled(ORDERED), make_filled(ORDERED, partitions=4)
    share = {**spread.place, "records": ORDERED // 4, "partitions": 4}
    sides = [
        Side("tfkafka, 4 partitions", "subject", "reading:tfkafka_decoded", share),
        Side("tfkafka, 1 partition", "ceiling", "reading:tfkafka_decoded", alone.place),
    ]
    title = "Read and decode 600,000 records of 4 partitions in one order"
    compare("order", "decode", title, alone, sides)


def test_what_people_write(compare, make_filled):
    few = make_filled(FEW)
    sides = [
        Side(
            TFKAFKA, "subject", "reading:tfkafka_decoded", {**few.place, "batch_size": BATCH_SIZE}
        ),
        bare_loop(few),
        tutorials("reading:tutorial_decoded", few.place),
        record_by_record("reading:tutorial_decoded", few.place),
        *tensorflow_io("reading:tutorial_decoded", few.place),
        generator("kafka-python", "reading:over_kafka_python", few),
        generator("confluent-kafka", "reading:over_confluent_kafka", few),
    ]
    title = "Read and decode 10,000 records in batches of 64, as people write it"
    compare("decode-alternatives", "decode", title, few, sides, FEWER_ROUNDS)


def test_a_slowed_reader_is_caught(train_topic):
    """The same floor as above, and tfkafka's own reader, slowed on purpose."""
    slowed = Side(
        TFKAFKA, "subject", "reading:tfkafka_decoded", {**train_topic.place, "slowness": SLOWNESS}
    )
    ceiling = bare_loop(train_topic)
    found = take_turns(
        "decode", "A slowed reader", train_topic.records, train_topic.size, [slowed, ceiling]
    )
    rounds = found.ratios(slowed.label, ceiling.label)
    ratio = Floors().ratio("decode", slowed.label, ceiling.label, rounds, True)
    assert ratio.verdict == BELOW, ratio
    assert f"below the floor of {ratio.floor:.3g}" in complaint(ratio)


def ceilings(topic: Topic, java: dict[str, str] | None, messages) -> list[Side]:
    """tfkafka beside all that only fetch, or only parse."""
    memory = {**records(messages), "records": topic.records}
    return [
        Side(TFKAFKA, "subject", "reading:tfkafka_decoded", topic.place),
        bare_loop(topic),
        *consumer_performance(topic, java),
        Side("parsing from memory", "ceiling", "reading:from_memory", memory),
    ]


def generator(client: str, prepare: str, topic: Topic) -> Side:
    return Side(f"a generator over {client}", "alternative", prepare, topic.place)
