"""With exactly the rights that the documents name all goes well; each that is missing is named."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

import tfkafka
from tests.integration.tfkafka import clients
from tests.integration.tfkafka.clients import DECODE, RECORDS, Target, attempt
from tfkafka import Admin, CsvDecoder, KafkaDataset, write
from tfkafka.errors import TfkafkaError
from tfkafka.exactly_once import checked_predictions
from tfkafka.testing.brokers.embedded import EmbeddedBroker

USER, MECHANISM = "alice", "SCRAM-SHA-512"
# Machines are slow at times; 3 s is what is promised, and time-outs are of 60 s and more.
LONGEST_S = 45.0


@dataclass(frozen=True)
class Need:
    """A right: of an operation, on a thing of a kind; in names and words, @ is the test's name.

    Attributes:
        said: what the error tells to grant where the right is missing; None: this right.
    """

    operation: str
    kind: str
    name: str
    said: str | None = None
    prefix: bool = False

    def on(self, test: str) -> dict:
        return {self.kind: self.name.replace("@", test)} | ({"prefix": True} if self.prefix else {})

    def words(self, test: str) -> str:
        said = self.said or f"{self.operation} on {self.kind} {self.name}"
        return f"grant this user {said.replace('@', re.escape(test))}"


# Kafka shows no topic to who has no right on it, so that is what is missing first.
SEE_TOPIC = "DESCRIBE on (topic @$|it$)"
READ_TOPIC = Need("READ", "topic", "@", SEE_TOPIC)
READ_GROUP = Need("READ", "group", "@")
WRITE_OUTPUT = Need("WRITE", "topic", "@-out", r"(DESCRIBE|WRITE) on (topic @-out|the topics)")


def dead_letters(at: Target) -> int:
    dataset = KafkaDataset(
        at.topic,
        servers=at.servers,
        configuration=at.settings,
        decode=CsvDecoder(3),
        on_bad_record="dead_letter",
        dead_letter_topic=at.output,
    )
    return clients.read(dataset) + dataset.counts.dead_lettered


def numpy_reader(at: Target) -> int:
    batches = tfkafka.read(at.topic, servers=at.servers, configuration=at.settings)
    return sum(len(values) for values, _ in batches)


def predictions(at: Target) -> int:
    found = checked_predictions(
        str(at.servers), at.topic, at.output, at.group, DECODE, configuration=at.settings
    )
    return len(found[0])


def admin(at: Target) -> Admin:
    return Admin(str(at.servers), at.settings)


def committed(at: Target) -> int:
    return sum(row.committed or 0 for row in admin(at).describe_group(at.group))


CASES: dict[str, tuple[Callable[[Target], object], list[Need]]] = {
    "KafkaDataset": (clients.bounded, [READ_TOPIC]),
    "read": (numpy_reader, [READ_TOPIC]),
    "tfio.kafka.KafkaDataset": (clients.tfio_dataset, [READ_TOPIC]),
    "tfio.IOTensor": (clients.tfio_tensor, [READ_TOPIC]),
    "KafkaGroupDataset": (clients.group, [READ_TOPIC, READ_GROUP]),
    "KafkaMiniBatchDataset": (clients.mini_batch, [READ_TOPIC, READ_GROUP]),
    "dead letters": (dead_letters, [READ_TOPIC, WRITE_OUTPUT]),
    "write": (clients.writer, [Need("WRITE", "topic", "@", "(DESCRIBE|WRITE) on topic @$")]),
    "ExactlyOnceInference": (
        clients.exactly_once,
        [
            READ_TOPIC,
            READ_GROUP,
            Need("WRITE", "transactional_id", "@-1-", "WRITE on transactional id @-1-[01]$", True),
            WRITE_OUTPUT,
        ],
    ),
    "checked_predictions": (
        predictions,
        [
            READ_TOPIC,
            Need("READ", "topic", "@-out", "DESCRIBE on topic @-out$"),
            Need("DESCRIBE", "group", "@"),
        ],
    ),
    "Admin.record_count": (clients.admin_client, [Need("DESCRIBE", "topic", "@")]),
    "Admin.describe_group": (
        committed,
        [Need("DESCRIBE", "group", "@")],
    ),
    "Admin.has_members": (
        lambda at: admin(at).has_members(at.group),
        [Need("DESCRIBE", "group", "@")],
    ),
    "Admin.create_topic": (
        lambda at: admin(at).create_topic(f"{at.topic}-new-{uuid.uuid4().hex[:6]}"),
        [
            Need("CREATE", "topic", "@-new-", "CREATE on (topic @-new-|the cluster)", True),
            Need("DESCRIBE", "topic", "@-new-", prefix=True),
        ],
    ),
    "Admin.describe_topic": (
        lambda at: admin(at).describe_topic(at.topic),
        [
            Need("DESCRIBE", "topic", "@"),
            Need("DESCRIBE_CONFIGS", "topic", "@"),
        ],
    ),
    "Admin.delete_topic": (
        lambda at: admin(at).delete_topic(at.topic),
        [Need("DELETE", "topic", "@")],
    ),
}


@pytest.fixture
def at(secured_kafka: EmbeddedBroker, group: str) -> Target:
    """Where alice connects, with two topics and a group that are named after the test."""
    plain = secured_kafka.bootstrap_servers
    for topic in (group, f"{group}-out"):
        Admin(plain).create_topic(topic)
    write(plain, group, ["1,2"] * RECORDS, ["1"] * RECORDS)
    return Target(
        secured_kafka.secured_servers,
        dict(secured_kafka.client_configuration(USER, MECHANISM)),
        group,
        f"{group}-out",
        group,
    )


@pytest.mark.parametrize("name", CASES)
def test_exactly_the_rights_that_are_needed(secured_kafka, at, name):
    client, needs = CASES[name]
    if name == "checked_predictions":
        plain = replace(at, servers=secured_kafka.bootstrap_servers, settings={})
        assert clients.exactly_once(plain) == RECORDS
    refuse_each_that_is_missing(secured_kafka, name, client, needs, at)


def test_exactly_the_rights_of_a_learner(secured_kafka, at, learner):
    refuse_each_that_is_missing(secured_kafka, "learn", learner, [READ_TOPIC], at)


def refuse_each_that_is_missing(
    broker: EmbeddedBroker, name: str, client: clients.Client, needs: list[Need], at: Target
) -> None:
    """Without each of the rights an error names it; with all of them there is none."""
    for need in needs:
        broker.grant(USER, need.operation, **need.on(at.topic))
    for need in needs:
        broker.revoke(USER, need.operation, **need.on(at.topic))
        failure = attempt(client, at)
        missing = f"{name} without {need.operation} on {need.kind} {need.name}"
        print(f"{missing}: {failure.seconds:.1f} s, {failure.line}")
        assert failure.kind and issubclass(failure.kind, TfkafkaError), missing
        assert re.search(need.words(at.topic), failure.line), failure.line
        assert at.topic in failure.line and "\n" not in failure.line
        assert str(at.settings["sasl.password"]) not in failure.line
        assert failure.seconds < LONGEST_S, "it comes as late as a time-out"
        broker.grant(USER, need.operation, **need.on(at.topic))
    client(at)


def test_a_learner_that_may_not_report_its_progress_says_so(secured_kafka, at, tmp_path):
    """Its group is for monitoring alone: it trains without."""
    said: list[str] = []
    client = clients.learner(tmp_path, said.append, group_id=at.group)
    secured_kafka.grant(USER, "READ", topic=at.topic)
    assert client(at) == RECORDS
    [line] = [each for each in said if f"could not be reported to group {at.group}" in each]
    assert line.endswith(f"grant this user READ on group {at.group}")
    secured_kafka.grant(USER, "READ", group=at.group)
    said.clear()
    assert client(at) == RECORDS and "reported" not in "".join(said)
    assert committed(replace(at, servers=secured_kafka.bootstrap_servers, settings={})) == RECORDS


def test_a_topic_that_may_be_seen_and_not_read(secured_kafka, at):
    secured_kafka.grant(USER, "DESCRIBE", topic=at.topic)
    for client in (clients.bounded, clients.tfio_tensor):
        failure = attempt(client, at)
        assert failure.line.endswith(f"grant this user READ on topic {at.topic}")


def test_a_group_is_shown_without_topics_that_may_not_be_seen(secured_kafka, at):
    """As Kafka's own tool shows it."""
    assert clients.exactly_once(replace(at, servers=secured_kafka.bootstrap_servers, settings={}))
    secured_kafka.grant(USER, "DESCRIBE", group=at.group)
    assert committed(at) == 0
    secured_kafka.grant(USER, "DESCRIBE", topic=at.topic)
    assert committed(at) == RECORDS
