"""Partitions that go to another member of the group, and come back.

Which records a member has when another one joins, and which partition goes to whom, the script does
not determine. So these histories have what all members delivered together, sorted: a record that
was delivered twice is there twice, and one that was lost is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException

from tests.histories.history import Story
from tests.histories.product import KafkaBatchDataset
from tests.histories.readers import EARLIEST, Worker, first_column, mini_size, places
from tests.histories.registry import scenario
from tests.histories.scenarios.groups import Numbers
from tests.histories.stage import QUIET, Stage
from tests.histories.waiting import ScriptError, wait_for

# Read ahead by far more records than a member has delivered when it loses a partition, and by far
# fewer than there are.
AHEAD = {"prefetch_bytes": 1 << 16}
COUNT = 1500
JOIN_AT = 100
# Rebalances are noticed at a heartbeat.
QUICK = ["heartbeat.interval.ms=500"]


@scenario()
def group_rebalance(stage: Stage, story: Story) -> None:
    """A second member joins when 100 records have been delivered; both commit by themselves.

    Each record is delivered once: what a member has in work when it loses a partition is committed.
    """
    numbers = Numbers(stage, story, COUNT, partitions=2)
    second = _InThread(lambda: places(numbers.dataset(configuration=[*EARLIEST, *QUICK])))
    first = numbers.dataset(configuration=[*EARLIEST, *QUICK], **AHEAD)

    def join() -> None:
        second.start()
        stage.wait_for_members(numbers.group, 2)

    found = _read_and(places(first), JOIN_AT, join)
    story.deliver_sorted(found + second.end())
    numbers.note_commits("at the end")


@scenario()
def group_rebalance_committing_by_count(stage: Stage, story: Story) -> None:
    """A second member joins when 100 records were delivered and committed; then all is read.

    What was delivered and not committed may come twice, so only the set is kept, and that of what
    was committed nothing came twice.
    """
    numbers = Numbers(stage, story, COUNT, partitions=2)
    options = {"configuration": [*EARLIEST, *QUICK], "auto_commit": False}
    second = _InThread(lambda: places(second_dataset))
    second_dataset = numbers.dataset(**options)
    first = numbers.dataset(**options, **AHEAD)
    committed: dict[int, int] = {}

    def join() -> None:
        first.commit(JOIN_AT)
        committed.update(stage.committed(numbers.group, numbers.topic))
        second.start()
        stage.wait_for_members(numbers.group, 2)

    found = _read_and(places(first), JOIN_AT, join)
    others = second.end()
    story.step(f"{sum(committed.values())} were committed when the second joined")
    _note_set(story, found + others, committed, found[:JOIN_AT])
    second_dataset.commit()
    first.commit()
    _note_rest(numbers)


@scenario()
def mini_batch_rebalance(stage: Stage, story: Story) -> None:
    """A second member joins in the second mini dataset.

    The one in work and what is read ahead may come twice, and the old code may commit less than
    the other member has. So only the set is kept, with what is left for another reader.
    """
    numbers = Numbers(stage, story, COUNT, partitions=2)
    second = _InThread(lambda: places(numbers.dataset(configuration=[*EARLIEST, *QUICK])))
    found: list[str] = []
    for number, mini in enumerate(_quick_minis(numbers), 1):
        found += places(mini)
        if number == 2:
            committed = stage.committed(numbers.group, numbers.topic)
            second.start()
            stage.wait_for_members(numbers.group, 2)
    story.step(f"{sum(committed.values())} were committed when the second joined")
    _note_set(story, found + second.end() + _rest(numbers), committed, found[:100])
    numbers.note_commits("at the end")


@scenario()
def exactly_once_rebalance(stage: Stage, story: Story) -> None:
    """A second worker joins while the first predicts its third batch: one prediction each."""
    topic = stage.topic(partitions=2)
    for partition in range(2):
        stage.numbers(topic, 600, partition)
    worker = Worker(stage, story, topic, 2)
    second = threading.Thread(target=worker.make(worker="2").run, daemon=True)
    batches: list[int] = []

    def predict(rows):
        batches.append(len(rows))
        if len(batches) == 3:
            second.start()
            stage.wait_for_members(worker.group, 2)
        return first_column(rows)

    worker.make(predict, configuration=QUICK).run()
    wait_for(lambda: not second.is_alive(), "the second worker to end")
    story.deliver_sorted(worker.fresh())
    worker.note_commits("at the end")


@scenario()
def group_partition_lost_and_regained(stage: Stage, story: Story) -> None:
    """A member with a full buffer loses a partition, and has it again: another one read nothing.

    It is asked for the next record only after that. Each record comes once, in its order.
    """
    numbers = Numbers(stage, story, COUNT, partitions=2)
    dataset = numbers.dataset(configuration=[*EARLIEST, *QUICK], **AHEAD)
    story.deliver(_in_order(_read_and(places(dataset), 10, lambda: _visit(numbers, 0))))
    numbers.note_commits("at the end")


@scenario()
def group_partition_regained_after_some_were_read(stage: Stage, story: Story) -> None:
    """The same, and the other member has read and committed 20 records before it left."""
    numbers = Numbers(stage, story, COUNT, partitions=2)
    dataset = numbers.dataset(configuration=[*EARLIEST, *QUICK], **AHEAD)
    others: list[str] = []
    found = _read_and(places(dataset), 10, lambda: others.extend(_visit(numbers, 20)))
    story.step(f"{len(others)} were read by the other member")
    story.deliver_sorted(found + others)
    numbers.note_commits("at the end")


@scenario()
def group_partition_regained_uncommitted(stage: Stage, story: Story) -> None:
    """A member that commits by count loses a partition and has it again; 50 of 100 are committed.

    What was delivered and not committed comes twice; how many records that are the script does not
    determine.
    """
    numbers = Numbers(stage, story, COUNT, partitions=2)
    dataset = numbers.dataset(configuration=[*EARLIEST, *QUICK], auto_commit=False, **AHEAD)
    committed: dict[int, int] = {}

    def visit() -> None:
        dataset.commit(50)
        committed.update(stage.committed(numbers.group, numbers.topic))
        _visit(numbers, 0)

    found = _read_and(places(dataset), 100, visit)
    _note_set(story, found, committed, found[:50])
    dataset.commit()
    _note_rest(numbers)


@scenario()
def mini_batch_partition_lost_and_regained(stage: Stage, story: Story) -> None:
    """A member in its second mini dataset loses a partition and has it again.

    As in `mini_batch_rebalance` only the set is kept.
    """
    numbers = Numbers(stage, story, COUNT, partitions=2)
    found: list[str] = []
    committed: dict[int, int] = {}
    for number, mini in enumerate(_quick_minis(numbers), 1):
        found += places(mini)
        if number == 2:
            committed.update(stage.committed(numbers.group, numbers.topic))
            _visit(numbers, 0)
    _note_set(story, found + _rest(numbers), committed, found[:100])
    numbers.note_commits("at the end")


@scenario()
def exactly_once_partition_lost_and_regained(stage: Stage, story: Story) -> None:
    """A worker loses a partition while it predicts its third batch, and has it again."""
    topic = stage.topic(partitions=2)
    for partition in range(2):
        stage.numbers(topic, 600, partition)
    worker = Worker(stage, story, topic, 2)
    batches: list[int] = []

    def predict(rows):
        batches.append(len(rows))
        if len(batches) == 3:
            _visit(worker, 0)
        return first_column(rows)

    worker.make(predict, configuration=QUICK).run()
    story.deliver_sorted(worker.fresh())
    worker.note_commits("at the end")


class _InThread:
    """Delivers elements in a thread that is started later."""

    def __init__(self, elements: Callable[[], Iterator[str]]):
        self._found: list[str] = []
        self._error: Exception | None = None
        self._elements = elements
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> list[str]:
        """Wait for the end, and return what was delivered."""
        wait_for(lambda: not self._thread.is_alive(), "the second member to end")
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        try:
            self._found += self._elements()
        except Exception as error:
            self._error = error


def _read_and(elements: Iterator[str], count: int, then: Callable[[], None]) -> list[str]:
    """Read all; call `then` when so many have been delivered, before the next is asked for."""
    found: list[str] = []
    for element in elements:
        found.append(element)
        if len(found) == count:
            then()
    return found


def _quick_minis(numbers: Numbers):
    return KafkaBatchDataset(
        numbers.topic,
        numbers.group,
        numbers.stage.servers,
        0,
        [*mini_size(100), *QUICK],
        metadata=True,
        **AHEAD,
    )


def _visit(numbers: Numbers | Worker, count: int) -> list[str]:
    """Join the group, read and commit so many records, leave, and wait until that is done."""
    stage, found = numbers.stage, []
    with _member(numbers) as consumer:
        stage.wait_for_members(numbers.group, 2)
        while len(found) < count:
            message = wait_for(lambda: consumer.poll(0.1), "a record for the other member")
            if message.error() is not None:
                raise KafkaException(message.error())
            number = int(message.value())
            found.append(f"{message.partition()}:{message.offset()}:{number}")
            consumer.commit(message, asynchronous=False)
    stage.wait_for_members(numbers.group, 1)
    return found


@contextmanager
def _member(numbers: Numbers | Worker) -> Iterator[Consumer]:
    """A member that is not the product's, with a partition of its own."""
    consumer = Consumer(
        {
            "bootstrap.servers": numbers.stage.servers,
            "group.id": numbers.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "heartbeat.interval.ms": 500,
            **QUIET,
        }
    )
    # Nothing is fetched before the script asks for a record.
    consumer.subscribe([numbers.topic], on_assign=lambda c, p: (c.assign(p), c.pause(p)))
    try:
        wait_for(lambda: (consumer.poll(0.1), consumer.assignment())[1], "a share for a member")
        consumer.resume(consumer.assignment())
        yield consumer
    finally:
        consumer.close()


def _in_order(elements: list[str]) -> list[str]:
    """Sort by partition alone."""
    return sorted(elements, key=lambda element: element.partition(":")[0])


def _note_set(story: Story, found: list[str], committed: dict[int, int], first: list[str]) -> None:
    """Note which records came, and how many came again of those that had been committed.

    Args:
        committed: a group's offsets.
        first: the elements whose commit that was.
    """
    if sum(committed.values()) != len(first):
        raise ScriptError(f"{committed} is not what was committed of {len(first)} records")
    story.deliver_sorted(set(found))
    again = [element for element in first if found.count(element) > 1]
    story.step(f"{len(again)} came again of those that had been committed")


def _note_rest(numbers: Numbers) -> None:
    """Note what a later reader of the group gets, and what is committed then."""
    numbers.story.step("left for another reader")
    numbers.story.deliver(_rest(numbers))
    numbers.note_commits("at the end")


def _rest(numbers: Numbers) -> list[str]:
    """Read what is left for another reader of the group."""
    numbers.wait_until_left()
    return [*places(numbers.dataset())]
