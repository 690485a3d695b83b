"""What is around reading: writing, describing, tensorflow-io's names, and no broker at all."""

from __future__ import annotations

from tests.histories.history import BY_PARTITION, Story
from tests.histories.product import (
    Admin,
    KafkaBatchDataset,
    KafkaDataset,
    KafkaGroupDataset,
    tfio,
    write,
)
from tests.histories.readers import (
    EARLIEST,
    Learner,
    Worker,
    mini_size,
    places,
    places_of_minis,
    values,
)
from tests.histories.registry import scenario
from tests.histories.stage import Stage

NOWHERE = "127.0.0.1:1"


@scenario(BY_PARTITION)
def write_records(stage: Stage, story: Story) -> None:
    """By key, into one partition, null and empty; and what is refused."""
    topic = stage.topic(partitions=3, settings={"max.message.bytes": "1000"})
    count = write(stage.servers, topic, map(str, range(30)), [f"k{n % 7}" for n in range(30)])
    count += write(stage.servers, topic, ["", None, b"\xff"], partition=2)
    story.step(f"{count} written")
    for message in stage.messages(topic, 3):
        story.deliver(
            [f"{message.partition()}:{message.offset()} {message.key()!r} {message.value()!r}"]
        )
    refused = [
        lambda: write(stage.servers, topic, ["x" * 5000], partition=0),
        lambda: write(stage.servers, topic, ["1", "2"], ["1"]),
        lambda: write(stage.servers, stage.name("missing"), ["1"]),
        lambda: write(stage.servers, topic, ["1"], configuration=["lingerms=1"]),
        lambda: write(NOWHERE, topic, ["1"]),
    ]
    for call in refused:
        try:
            call()
        except Exception as error:
            story.error(error)


@scenario()
def admin_topics_and_groups(stage: Stage, story: Story) -> None:
    """Topics are created, described and deleted, groups are described."""
    admin, name, group = Admin(stage.servers), stage.name("made"), stage.name("group")
    admin.create_topic(name, 2, settings={"retention.ms": "600000"})
    found = admin.describe_topic(name)
    story.step(f"{len(found.partitions)} partitions, retention {found.settings['retention.ms']}")
    stage.numbers(name, 30, 1)
    story.step(f"ends {admin.end_offsets(name)}, records {admin.record_count(name)}")
    story.deliver(values(KafkaGroupDataset(name, group, stage.servers, 0, EARLIEST)))
    for row in admin.describe_group(group):
        story.commit(f"{row.lag} behind, member {row.consumer_id}", {row.partition: row.committed})
    calls = [
        lambda: admin.create_topic(name),
        lambda: admin.delete_topic(name),
        lambda: admin.delete_topic(name),
        lambda: admin.describe_topic(name),
        lambda: Admin(NOWHERE).topics(),
    ]
    for call in calls:
        try:
            call()
        except Exception as error:
            story.error(error)


@scenario()
def tfio_names(stage: Stage, story: Story) -> None:
    """The readers by tensorflow-io's names, whose elements are (message, key)."""
    topic, group = stage.topic(), stage.name("group")
    stage.numbers(topic, 250)
    bounded, servers = tfio.IODataset.from_kafka(topic, servers=stage.servers), stage.servers
    stage.numbers(topic, 50, first=250)
    streaming = tfio.experimental.streaming
    story.deliver(element.message.numpy().decode() for element in bounded)
    story.step("from 10 to 20")
    part = tfio.IODataset.from_kafka(topic, start=10, stop=20, servers=servers)
    story.deliver(element.message.numpy().decode() for element in part)
    story.step("a stream from 290")
    stream = tfio.IODataset.stream().from_kafka(topic, offset=290, servers=servers)
    story.deliver(element.message.numpy().decode() for element in stream)
    story.step("a group")
    of_group = streaming.KafkaGroupIODataset(
        [topic], group, servers, message_poll_timeout=2000, configuration=EARLIEST
    )
    story.deliver(values(of_group))
    story.commit("the group", stage.committed(group, topic))
    story.step("mini datasets")
    group = stage.name("minis")
    minis = streaming.KafkaBatchIODataset(
        [topic], group, servers, 0, message_poll_timeout=2000, configuration=mini_size(100)
    )
    for mini in minis:
        story.deliver(values(mini))
    story.commit("mini datasets", stage.committed(group, topic))


@scenario(online=True)
def no_broker_at_all(stage: Stage, story: Story) -> None:
    """No broker is at the address: each reader says so."""
    topic, group = stage.name("topic"), stage.name("group")
    try:
        KafkaDataset(topic, servers=NOWHERE)
    except Exception as error:
        story.error(error)
    for kind, elements in ((KafkaGroupDataset, places), (KafkaBatchDataset, places_of_minis)):
        dataset = kind(topic, group, NOWHERE, 100, metadata=True)
        try:
            story.deliver(elements(dataset))
        except Exception as error:
            story.error(error, dataset)
    worker = Worker(stage, story, topic)
    nowhere = Stage(NOWHERE, "nowhere", stage.folder)
    worker.stage = nowhere
    try:
        worker.make().run()
    except Exception as error:
        story.error(error)
    Learner(nowhere, story, topic).read()
