"""Bounded reading: which records, what comes with them, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

from confluent_kafka import Producer

from tests.histories.history import Story
from tests.histories.product import (
    CsvDecoder,
    KafkaDataset,
    counted,
    headers_of,
    poisoned,
)
from tests.histories.readers import places, values
from tests.histories.registry import scenario
from tests.histories.stage import QUIET, Stage

RANGES = [
    {"offset": 90},
    {"start": 20, "stop": 30},
    {"offset": 5, "start": 20, "stop": 30},
    {"stop": 1},
    {"start": 100},
    {"start": -1},
    {"start": -2003},
    {"start": -2500},
    {"stop": -2097},
    {"max_records": 7},
    {"max_records": 0},
    {"start": 98, "max_records": 7},
]
REFUSED = [
    {"start": 101},
    {"stop": 101},
    {"start": 5, "stop": 4},
    {"max_records": -1},
    {"partition": 3},
    {"start": datetime(2026, 1, 1)},
    {"configuration": ["fetch.min.byte=1"]},
    poisoned("ignore"),
]
TIME_MS = 1_700_000_000_000
POISON = ["1,2", "1", "text", "3,", "5,6", "7,8", "9,10"]
POISON_KEYS = ["0", "0", "0", "0", "1", None, "1"]


def _read(stage: Stage, story: Story, topic: str, **arguments) -> None:
    """Read with these arguments; note what is delivered or raised."""
    dataset = None
    try:
        dataset = KafkaDataset(topic, servers=stage.servers, metadata=True, **arguments)
        story.deliver(places(dataset))
    except Exception as error:
        story.error(error, dataset)


@scenario()
def bounded_epochs(stage: Stage, story: Story) -> None:
    """Epochs see the same records until the dataset is refreshed."""
    topic = stage.topic()
    stage.numbers(topic, 1025)
    dataset = KafkaDataset(topic, servers=stage.servers, metadata=True)
    story.deliver(places(dataset))
    stage.numbers(topic, 50, first=1025)
    story.step("two epochs, with 50 more in the topic")
    story.deliver(places(dataset.repeat(2)))
    dataset.refresh()
    story.step("refreshed")
    story.deliver(places(dataset))


@scenario()
def bounded_ranges(stage: Stage, story: Story) -> None:
    """First and last offset, offsets from the end, max_records; and what is refused."""
    topic = stage.topic()
    stage.numbers(topic, 100)
    for arguments in RANGES:
        story.step(str(arguments))
        _read(stage, story, topic, **arguments)
    for arguments in REFUSED:
        _read(stage, story, topic, **arguments)
    _read(stage, story, stage.name("missing"))


@scenario()
def bounded_start_by_time(stage: Stage, story: Story) -> None:
    """Begin before, at, between and after the times of records."""
    topic = stage.topic()
    times = [TIME_MS + 1000 * n for n in range(10)]
    stage.produce(topic, map(str, range(10)), timestamps=times)
    for ms in (-1, 0, 4000, 4001, 9001):
        start = datetime.fromtimestamp((TIME_MS + ms) / 1000, UTC)
        story.step(f"{ms} ms after the first record")
        _read(stage, story, topic, start=start)


@scenario()
def bounded_metadata(stage: Stage, story: Story) -> None:
    """Headers, times, nulls, and bytes that are no text."""
    topic = stage.topic()
    producer = Producer({"bootstrap.servers": stage.servers, **QUIET})
    headers = [("trace", b"\x00\xff"), ("trace", b"2"), ("none", None), ("empty", b"")]
    records = [("a", "k", headers), (b"", None, []), (None, b"", []), (b"\x00\xff,\n", "k", [])]
    for number, (value, key, of_record) in enumerate(records):
        producer.produce(topic, value, key, 0, headers=of_record, timestamp=TIME_MS + number)
    producer.flush(30)
    dataset = KafkaDataset(topic, servers=stage.servers, metadata=True)
    for message, key, where in dataset.as_numpy_iterator():
        story.deliver(
            [
                f"{where.topic.decode()}:{where.partition}:{where.offset} {message!r} {key!r} "
                f"at {where.timestamp} null {bool(where.null_message)} {bool(where.null_key)} "
                f"headers {headers_of(where.headers)}"
            ]
        )


@scenario()
def bounded_batches(stage: Stage, story: Story) -> None:
    """Batches of records, decoded batches with labels and without, and whole chunks."""
    topic = stage.topic()
    stage.produce(topic, [f"{n},{n / 2}" for n in range(100)], [str(n % 2) for n in range(100)])
    batches = KafkaDataset(topic, servers=stage.servers, batch_size=30)
    story.deliver(
        f"{len(message)} records, the first {message[0].numpy()}" for message, _ in batches
    )
    for label in ("key", None):
        decoded = KafkaDataset(
            topic, servers=stage.servers, decode=CsvDecoder(2, label=label), batch_size=40
        )
        story.step(str(decoded.element_spec))
        for element in decoded.as_numpy_iterator():
            parts = element if isinstance(element, tuple) else (element,)
            story.deliver([" and ".join(f"{part.shape} {part[:2].tolist()}" for part in parts)])
    story.step("chunks")
    numbers = stage.topic("numbers")
    stage.numbers(numbers, 2000)
    chunks = KafkaDataset(numbers, servers=stage.servers).chunks()
    story.deliver(value.decode() for message, _ in chunks for value in message.numpy())


@scenario()
def bounded_poisoned_records(stage: Stage, story: Story) -> None:
    """Records that cannot be decoded fail, are skipped, or go to a quarantine, once."""
    topic, quarantine = stage.topic(), stage.topic("quarantine")
    stage.produce(topic, POISON, POISON_KEYS)
    decode = CsvDecoder(2, label="key")
    for policy, target in (("fail", None), ("skip", None), ("quarantine", quarantine)):
        dataset = KafkaDataset(
            topic, servers=stage.servers, decode=decode, metadata=True, **poisoned(policy, target)
        )
        for epoch in (1, 2):
            story.step(f"{policy}, epoch {epoch}")
            try:
                story.deliver(
                    f"{int(where.offset)}: {features.numpy().tolist()} {float(label)}"
                    for features, label, where in dataset
                )
                story.step(counted(dataset.counts))
            except Exception as error:
                story.error(error, dataset)
    story.step("in the quarantine")
    for message in stage.messages(quarantine):
        story.deliver([f"{message.value()!r} {message.key()!r} {message.headers()}"])


@scenario()
def bounded_deleted_meanwhile(stage: Stage, story: Story) -> None:
    """Records are deleted after the dataset was made, and after an epoch."""
    topic = stage.topic()
    stage.numbers(topic, 100)
    dataset = KafkaDataset(topic, servers=stage.servers, metadata=True)
    story.deliver(places(dataset))
    stage.delete_before(topic, 40)
    story.step("40 records are deleted")
    try:
        story.deliver(places(dataset))
    except Exception as error:
        story.error(error, dataset)
    for arguments in ({"start": 10}, {"start": -2080}, {}):
        story.step(f"a new dataset, {arguments}")
        _read(stage, story, topic, **arguments)


@scenario()
def bounded_topic_made_again(stage: Stage, story: Story) -> None:
    """The topic is deleted, and created again with fewer records; then with as many: an error."""
    topic = stage.topic()
    stage.numbers(topic, 100)
    dataset = KafkaDataset(topic, servers=stage.servers)
    stage.delete(topic)
    stage.create(topic)
    for count, first in ((3, 0), (97, 3)):
        stage.numbers(topic, count, first=first)
        story.step(f"{first + count} records in the new topic")
        try:
            story.deliver(values(dataset))
        except Exception as error:
            story.error(error, dataset)
