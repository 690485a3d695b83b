"""A broker that is killed while it is read from, and returns or does not.

Each of these has the broker for itself, which runs when it begins and when it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from tests.histories.history import Story
from tests.histories.product import KafkaBatchDataset, KafkaDataset, KafkaGroupDataset
from tests.histories.readers import (
    EARLIEST,
    Learner,
    Worker,
    first_column,
    mini_size,
    places,
    places_of_batches,
    places_of_minis,
)
from tests.histories.registry import scenario
from tests.histories.scenarios.groups import Numbers
from tests.histories.stage import Stage
from tests.histories.waiting import ScriptError, wait_for

# Far more than is read ahead when the first chunk has been delivered.
MANY, WIDTH = 12_000, 1000
MINI = 1500
AHEAD = {"prefetch_bytes": 1 << 16}
FETCH = "fetch.message.max.bytes=20000"
SHORT_MS = 4000


@scenario(kills=True)
def readers_of_a_dead_broker(stage: Stage, story: Story) -> None:
    """The broker dies after a first record or mini dataset, and stays away: errors, and no end.

    How much of what was read ahead still comes is not determined: it has no gap, and is not all.
    Mini datasets are not committed here: a commit that is asked for after the polling thread has
    ended waits forever in the old code, and which comes first is not determined.
    """
    topic, servers = stage.topic(), stage.servers
    stage.numbers(topic, MANY, width=WIDTH)
    groups = [stage.name("group"), stage.name("minis")]
    options = {"metadata": True, "broker_timeout": SHORT_MS, **AHEAD}
    settings = [[*EARLIEST, FETCH], [*mini_size(1000), FETCH]]
    readings = [
        _Reading(KafkaDataset(topic, servers=servers, configuration=[FETCH], **options)),
        _Reading(KafkaGroupDataset(topic, groups[0], servers, 0, settings[0], **options)),
        _Reading(
            KafkaBatchDataset(
                topic, groups[1], servers, 0, settings[1], auto_commit=False, **options
            )
        ),
    ]
    for reading in readings:
        reading.begin()
    stage.broker.kill()
    try:
        # At the same time: each of them is asked for more while its broker is away.
        for reading in readings:
            reading.go_on()
        for reading in readings:
            reading.tell(story)
    finally:
        stage.broker.restart()
    for group, reading in zip(groups, readings[1:], strict=True):
        committed = stage.committed(group, topic).get(0, 0)
        story.step(f"no more is committed than came: {committed <= len(reading.found)}")


@scenario(kills=True)
def bounded_broker_returns(stage: Stage, story: Story) -> None:
    """The broker dies after the first chunk, and returns: the dataset goes on where it was."""
    topic = stage.topic()
    stage.numbers(topic, MANY, width=WIDTH)
    dataset = KafkaDataset(
        topic, servers=stage.servers, configuration=[FETCH], metadata=True, **AHEAD
    )
    story.deliver(_with_death(stage, places_of_batches(dataset.chunks()), MANY))


@scenario(kills=True)
def group_broker_returns(stage: Stage, story: Story) -> None:
    """The broker dies after the first chunk, and returns: the group goes on, and commits."""
    numbers = _filled(stage, story)
    dataset = KafkaGroupDataset(
        numbers.topic, numbers.group, stage.servers, 0, [*EARLIEST, FETCH], metadata=True, **AHEAD
    )
    story.deliver(_with_death(stage, places_of_batches(dataset.chunks()), MANY))
    numbers.note_commits("at the end")


@scenario(kills=True)
def mini_batch_broker_returns(stage: Stage, story: Story) -> None:
    """The broker dies in the second mini dataset, and returns."""
    numbers = _filled(stage, story, 4 * MINI)
    dataset = KafkaBatchDataset(
        numbers.topic,
        numbers.group,
        stage.servers,
        0,
        [*mini_size(MINI), FETCH],
        metadata=True,
        **AHEAD,
    )
    for number, mini in enumerate(dataset, 1):
        numbers.note_commits(f"in mini dataset {number}")
        story.step(f"mini dataset {number} of {len(mini)}")
        story.deliver(places(mini))
        if number == 2:
            _kill_and_restart(stage)
    numbers.note_commits("at the end")


@scenario(kills=True)
def exactly_once_broker_returns(stage: Stage, story: Story) -> None:
    """The broker dies while the fourth batch is predicted, and returns: one prediction each."""
    topic = stage.topic()
    stage.numbers(topic, 1000)
    worker = Worker(stage, story, topic)
    batches: list[int] = []

    def predict(rows):
        batches.append(len(rows))
        if len(batches) == 4:
            _kill_and_restart(stage)
        return first_column(rows)

    worker.make(predict).run()
    story.deliver(worker.fresh())
    worker.note_commits("at the end")


@scenario(kills=True, online=True)
def online_broker_returns(stage: Stage, story: Story) -> None:
    """The broker dies in the second mini dataset, and returns: each is learnt from once."""
    topic = stage.topic()
    stage.numbers(topic, 450)

    def kill(number: int) -> None:
        if number == 2:
            _kill_and_restart(stage)

    Learner(stage, story, topic).read(kill)


class _Reading:
    """An iteration of a dataset, begun in one thread and read to its end in another."""

    def __init__(self, dataset) -> None:
        self.found: list[str] = []
        self._dataset = dataset
        is_mini = isinstance(dataset, KafkaBatchDataset)
        self._elements = (
            places_of_minis(dataset) if is_mini else places_of_batches(dataset.chunks())
        )
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        self.found.append(next(self._elements))

    def go_on(self) -> None:
        self._thread.start()

    def tell(self, story: Story) -> None:
        """Wait for the end, and note how it was."""
        name = type(self._dataset).__name__
        wait_for(lambda: not self._thread.is_alive(), f"the end of {name}")
        whole = [f"0:{number}:{number}" for number in range(len(self.found))]
        story.step(f"{name}: without a gap {self.found == whole}, all {len(self.found) == MANY}")
        if self._error is not None:
            # Where a commit was under way, it may be that which tells.
            is_bounded = isinstance(self._dataset, KafkaDataset)
            story.error(self._error, self._dataset, text=is_bounded)

    def _run(self) -> None:
        try:
            self.found += self._elements
        except Exception as error:
            self._error = error


def _filled(stage: Stage, story: Story, count: int = MANY) -> Numbers:
    numbers = Numbers(stage, story, 0)
    stage.numbers(numbers.topic, count, width=WIDTH)
    return numbers


def _with_death(stage: Stage, elements: Iterator[str], count: int) -> Iterator[str]:
    """The same elements; the broker dies after the first one, and returns before the second."""
    for number, element in enumerate(elements, 1):
        yield element
        if number == 1:
            _kill_and_restart(stage)
    if number < count:
        raise ScriptError(f"{number} of {count} records came")


def _kill_and_restart(stage: Stage) -> None:
    stage.broker.kill()
    stage.broker.restart()
