"""Topics and groups on a real Kafka, and what Kafka's own tools print of them."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.integration.dropping import drop_first
from tfkafka.client.admin import Admin
from tfkafka.client.tables import GROUP_COLUMNS, format_group, format_topic
from tfkafka.errors import BrokerError, TopicError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.processes import free_ports, java_executable

OLD_TOOLS, NEW_TOOLS = "2.7.2", "3.9.2"
TOPIC_COMMAND = {
    OLD_TOOLS: "kafka.admin.TopicCommand",
    NEW_TOOLS: "org.apache.kafka.tools.TopicCommand",
}
GROUP_COMMAND = {
    OLD_TOOLS: "kafka.admin.ConsumerGroupCommand",
    NEW_TOOLS: "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}


@pytest.fixture
def absent(topic_prefix: str) -> str:
    """The name of a topic that nobody made."""
    return f"{topic_prefix}absent-{uuid.uuid4().hex[:6]}"


def fill(servers: str, topic: str, *counts: int) -> None:
    """Write counts[p] records into each partition p."""
    producer = Producer({"bootstrap.servers": servers})
    for partition, count in enumerate(counts):
        for number in range(count):
            producer.produce(topic, str(number), partition=partition)
    assert producer.flush(30) == 0


@contextmanager
def member(servers: str, topic: str, group: str) -> Iterator[Consumer]:
    """A consumer that is the group's only member and has all partitions."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "client.id": "the-member",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe([topic])
        wait_for(lambda: consumer.poll(0.1) is None and consumer.assignment(), "an assignment")
        yield consumer
    finally:
        consumer.close()


def commit(consumer: Consumer, topic: str, *offsets: int) -> None:
    positions = [TopicPartition(topic, number, offset) for number, offset in enumerate(offsets)]
    consumer.commit(offsets=positions, asynchronous=False)


def output_of(version: str, main: str, servers: str, *arguments: str) -> str:
    """What a command-line tool of Kafka prints, run from its locked jars."""
    classpath = f"{jars.fetch(jars.read_lock(version), progress=False)}/*"
    command = [
        java_executable(),
        "-Xmx128M",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        classpath,
        main,
        "--bootstrap-server",
        servers,
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_topic_is_created_described_and_deleted(admin, absent):
    admin.create_topic(absent, 3, settings={"retention.ms": "3600000"})
    assert absent in admin.topics()
    topic = admin.describe_topic(absent)
    assert (topic.name, len(topic.partitions), topic.replication_factor) == (absent, 3, 1)
    assert [partition.number for partition in topic.partitions] == [0, 1, 2]
    for partition in topic.partitions:
        assert partition.replicas == partition.in_sync == (partition.leader,)
    assert topic.settings["retention.ms"] == "3600000"
    assert "max.message.bytes" not in topic.settings
    admin.delete_topic(absent)
    assert absent not in admin.topics()


@pytest.mark.parametrize("carried_out", [False, True])
def test_request_whose_connection_was_dropped_is_sent_again(
    admin, absent, monkeypatch, carried_out
):
    drop_first(monkeypatch, "create_topics", carried_out)
    admin.create_topic(absent, partitions=2)
    assert len(admin.describe_topic(absent).partitions) == 2
    with pytest.raises(TopicError, match="exists already"):
        admin.create_topic(absent, partitions=2)
    drop_first(monkeypatch, "delete_topics", carried_out)
    admin.delete_topic(absent)
    assert absent not in admin.topics()
    with pytest.raises(TopicError, match="there is no topic"):
        admin.delete_topic(absent)


def test_internal_topics_are_not_listed(kafka, admin, topic, group):
    with member(kafka.bootstrap_servers, topic, group) as consumer:
        commit(consumer, topic, 0)
    assert "__consumer_offsets" not in admin.topics()
    assert topic in admin.topics()


def test_existing_topic_is_refused_with_its_partitions_and_records(kafka, admin, make_topic):
    topic = make_topic(partitions=2)
    fill(kafka.bootstrap_servers, topic, 1200, 34)
    with pytest.raises(TopicError) as raised:
        admin.create_topic(topic, 1)
    assert str(raised.value) == (
        f"topic {topic} exists already on {kafka.bootstrap_servers}, "
        f"with 2 partitions and 1,234 records"
    )
    assert len(admin.describe_topic(topic).partitions) == 2
    assert admin.end_offsets(topic) == {0: 1200, 1: 34}


def test_topic_that_the_broker_refuses_is_named_with_the_reason(admin, absent):
    with pytest.raises(TopicError, match=f"{absent}/a.* is no topic name: .*ASCII"):
        admin.create_topic(f"{absent}/a")
    with pytest.raises(TopicError, match=f"cannot create topic {absent}: .*eplication"):
        admin.create_topic(absent, replication_factor=99)
    assert absent not in admin.topics()


@pytest.mark.parametrize(
    "method", ["describe_topic", "delete_topic", "end_offsets", "record_count"]
)
def test_missing_topic_is_named_and_not_created(kafka, admin, absent, method):
    with pytest.raises(TopicError) as raised:
        getattr(admin, method)(absent)
    where = kafka.bootstrap_servers
    assert str(raised.value) == f"there is no topic {absent} on {where}: create it first"
    assert absent not in admin.topics()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("topics", []),
        ("create_topic", ["t"]),
        ("delete_topic", ["t"]),
        ("describe_topic", ["t"]),
        ("end_offsets", ["t"]),
        ("record_count", ["t"]),
        ("describe_group", ["g"]),
        ("has_members", ["g"]),
    ],
)
def test_no_broker_at_the_address_is_one_line(method, arguments):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(BrokerError, match=f"no connection to Kafka at {address} ") as raised:
        getattr(Admin(address), method)(*arguments)
    assert "\n" not in str(raised.value)


def test_records_are_counted_between_beginning_and_end(kafka, admin, make_topic):
    topic = make_topic(partitions=2)
    fill(kafka.bootstrap_servers, topic, 5, 3)
    assert (admin.end_offsets(topic), admin.record_count(topic)) == ({0: 5, 1: 3}, 8)
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    [deletion] = client.delete_records([TopicPartition(topic, 0, 2)]).values()
    deletion.result(timeout=20)
    assert (admin.end_offsets(topic), admin.record_count(topic)) == ({0: 5, 1: 3}, 6)


def test_new_topic_can_be_asked_at_once(admin, make_topic):
    for _ in range(20):
        topic = make_topic(partitions=2)
        assert (admin.end_offsets(topic), admin.record_count(topic)) == ({0: 0, 1: 0}, 0)


def test_unknown_group_has_no_rows_and_no_members(admin, group):
    assert admin.describe_group(group) == []
    assert not admin.has_members(group)


def test_group_while_a_member_is_there_and_after(kafka, admin, make_topic, group):
    servers, topic = kafka.bootstrap_servers, make_topic(partitions=2)
    fill(servers, topic, 5, 3)

    def progress() -> list[tuple]:
        rows = admin.describe_group(group)
        assert {(row.group, row.topic) for row in rows} == {(group, topic)}
        return [(row.partition, row.committed, row.end, row.lag) for row in rows]

    with member(servers, topic, group) as consumer:
        assert admin.has_members(group)
        assert progress() == [(0, None, 5, None), (1, None, 3, None)]
        commit(consumer, topic, 2, 3)
        assert progress() == [(0, 2, 5, 3), (1, 3, 3, 0)]
        for row in admin.describe_group(group):
            assert row.client_id == "the-member"
            assert row.consumer_id == consumer.memberid()
            assert row.host.startswith("/")
    assert not admin.has_members(group)
    fill(servers, topic, 0, 4)
    assert progress() == [(0, 2, 5, 3), (1, 3, 7, 4)]
    for row in admin.describe_group(group):
        assert (row.client_id, row.consumer_id, row.host) == (None, None, None)


def test_topic_is_printed_as_the_tool_of_the_tutorials_kafka_prints_it(kafka, admin, make_topic):
    topic = make_topic(partitions=2)
    printed = describe_topic(OLD_TOOLS, kafka.bootstrap_servers, topic)
    assert format_topic(admin.describe_topic(topic)).splitlines() == printed


def test_topic_is_printed_as_the_newer_tool_prints_it_but_for_new_fields(kafka, admin, make_topic):
    topic = make_topic(partitions=3, settings={"cleanup.policy": "compact"})
    printed = describe_topic(NEW_TOOLS, kafka.bootstrap_servers, topic)
    ours = format_topic(admin.describe_topic(topic)).splitlines()
    assert list(map(fields, ours)) == [
        {key: value for key, value in fields(line).items() if key not in NEW_FIELDS}
        for line in printed
    ]


# Fields that Kafka 2.7 did not know.
NEW_FIELDS = {"TopicId", "Elr", "LastKnownElr"}


def describe_topic(version: str, servers: str, topic: str) -> list[str]:
    output = output_of(version, TOPIC_COMMAND[version], servers, "--describe", "--topic", topic)
    return output.splitlines()


def fields(line: str) -> dict[str, list[str]]:
    """`Name: value` by name; the order of a topic's settings is the broker's whim."""
    pairs = (part.partition(": ") for part in line.strip().split("\t"))
    return {name.strip(": "): sorted(value.split(",")) for name, _, value in pairs}


@pytest.mark.parametrize("version", [OLD_TOOLS, NEW_TOOLS])
def test_group_is_printed_as_the_tool_prints_it(kafka, admin, make_topic, group, version):
    servers, topic = kafka.bootstrap_servers, make_topic(partitions=2)
    fill(servers, topic, 5, 3)

    def cells(text: str) -> list[list[str]]:
        header, *rows = [line.split() for line in text.splitlines() if line]
        return [header, *sorted(rows)]

    def tool() -> str:
        # Its own limit of 5 s is short for a busy machine.
        wanted = ["--describe", "--group", group, "--timeout", "60000"]
        return output_of(version, GROUP_COMMAND[version], servers, *wanted)

    with member(servers, topic, group) as consumer:
        commit(consumer, topic, 2)
        while_there = cells(format_group(admin.describe_group(group)))
        assert while_there == cells(tool())
        assert [row[3:6] for row in while_there[1:]] == [["2", "5", "3"], ["-", "3", "-"]]
        commit(consumer, topic, 2, 3)
    after = cells(format_group(admin.describe_group(group)))
    assert after == cells(tool())
    assert after[0] == list(GROUP_COLUMNS)
    assert [row[3:] for row in after[1:]] == [
        ["2", "5", "3", "-", "-", "-"],
        ["3", "3", "0", "-", "-", "-"],
    ]


def test_group_columns_are_aligned(kafka, admin, topic, group):
    fill(kafka.bootstrap_servers, topic, 12)
    with member(kafka.bootstrap_servers, topic, group) as consumer:
        commit(consumer, topic, 0)
        header, row = format_group(admin.describe_group(group)).splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    assert [match.start() for match in re.finditer(r"\S+", row)] == starts
