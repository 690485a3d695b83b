"""Steps 3 and 4: the topics are as the tutorial describes them."""

from tests.tutorial import SusyTopic
from tfkafka import Admin, format_topic


def test_partitions_and_replicas(
    admin: Admin, susy_train_topic: SusyTopic, susy_test_topic: SusyTopic, observe
):
    topics = [admin.describe_topic(topic.name) for topic in (susy_train_topic, susy_test_topic)]
    observe("topics.partitions", [len(topic.partitions) for topic in topics])
    observe("topics.replication_factor", [topic.replication_factor for topic in topics])


def test_described_as_in_the_tutorial(admin: Admin, susy_test_topic: SusyTopic):
    name = susy_test_topic.name
    lines = format_topic(admin.describe_topic(name)).splitlines()
    head = f"Topic: {name}\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: "
    assert lines[0].startswith(head)
    assert "segment.bytes=1073741824" in lines[0]
    leader = admin.describe_topic(name).partitions[0].leader
    assert lines[1:] == [
        f"\tTopic: {name}\tPartition: {n}\tLeader: {leader}\tReplicas: {leader}\tIsr: {leader}"
        for n in (0, 1)
    ]


def test_message_counts(
    admin: Admin, susy_train_topic: SusyTopic, susy_test_topic: SusyTopic, observe
):
    topics = (susy_train_topic, susy_test_topic)
    counts = [admin.record_count(topic.name) for topic in topics]
    assert counts == [len(topic.messages) for topic in topics]
    observe("write.records", counts)
