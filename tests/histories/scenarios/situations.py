"""What a topic may hold, read in each of the five ways."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tests.histories import registry
from tests.histories.history import BY_PARTITION, IN_ORDER, Story
from tests.histories.readers import READERS
from tests.histories.stage import SharedTopic, Stage


def compacted_topic(make: Callable, stage: Stage, story: Story, compacted: SharedTopic) -> None:
    """Six records are left of 601 offsets."""
    make(stage, story, stage.know(compacted.get(), "compacted")).read()


def aborted_transactions(make: Callable, stage: Stage, story: Story, _: SharedTopic) -> None:
    """Aborted records are in the middle and at the end; what comes after them is read later."""
    topic = stage.topic()
    stage.numbers(topic, 100)
    stage.end(stage.transaction(topic, [*map(str, range(900, 950))]), topic, "abort")
    stage.end(stage.transaction(topic, [*map(str, range(100, 150))]), topic, "commit")
    stage.end(stage.transaction(topic, ["999"]), topic, "abort")
    reader = make(stage, story, topic)
    reader.read()
    stage.numbers(topic, 20, first=150)
    story.step("20 more")
    reader.read()


def open_transaction(make: Callable, stage: Stage, story: Story, _: SharedTopic) -> None:
    """A transaction is open, with a record after it; then it is committed."""
    topic = stage.topic()
    stage.numbers(topic, 100)
    unfinished = stage.transaction(topic, [*map(str, range(100, 130))])
    stage.numbers(topic, 20, first=130)
    reader = make(stage, story, topic)
    reader.read()
    stage.end(unfinished, topic, "commit")
    story.step("the transaction is committed")
    reader.read()


def four_partitions(make: Callable, stage: Stage, story: Story, _: SharedTopic) -> None:
    """Four partitions, one of them empty; then three records more in two of them."""
    topic = stage.topic(partitions=4)
    for partition, count in enumerate([150, 250, 0, 200]):
        stage.numbers(topic, count, partition)
    reader = make(stage, story, topic, 4)
    reader.read()
    stage.numbers(topic, 2, 1, first=250)
    stage.numbers(topic, 1, 2)
    story.step("three more")
    reader.read()


def deleted_before(make: Callable, stage: Stage, story: Story, _: SharedTopic) -> None:
    """Records were deleted before the reader comes for the first time."""
    topic = stage.topic()
    stage.numbers(topic, 200)
    stage.delete_before(topic, 120)
    make(stage, story, topic).read()


def deleted_unread(make: Callable, stage: Stage, story: Story, _: SharedTopic) -> None:
    """A reader has read 100 records; of 100 more the first 50 are deleted before it reads on."""
    topic = stage.topic()
    stage.numbers(topic, 100)
    reader = make(stage, story, topic)
    reader.read()
    stage.numbers(topic, 100, first=100)
    stage.delete_before(topic, 150)
    story.step("100 more, the first 50 of them deleted")
    reader.read()


SITUATIONS = [
    (compacted_topic, IN_ORDER),
    (aborted_transactions, IN_ORDER),
    (open_transaction, IN_ORDER),
    (four_partitions, BY_PARTITION),
    (deleted_before, IN_ORDER),
    (deleted_unread, IN_ORDER),
]

for _kind, _make in READERS.items():
    for _situation, _order in SITUATIONS:
        registry.add(
            f"{_kind}_{_situation.__name__}",
            functools.partial(_situation, _make),
            _order,
            kills=False,
            online=_make.online,
        )
