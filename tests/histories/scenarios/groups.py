"""Consumer groups while nothing fails: what is committed when, and when a stream ends."""

from __future__ import annotations

import gc

import keras

from tests.histories.history import BY_PARTITION, Story
from tests.histories.product import (
    CommitCallback,
    KafkaBatchDataset,
    KafkaGroupDataset,
    counted,
    poisoned,
)
from tests.histories.readers import (
    EARLIEST,
    LABELLED,
    linear,
    mini_size,
    place,
    places,
)
from tests.histories.registry import scenario
from tests.histories.stage import Stage

FOR_EVER = -1
# Long enough for a write on a busy machine: silence must not end a stream before that.
SILENCE_MS = 3000


class Numbers:
    """A topic of numbers, its group, and what is committed; scenarios of groups begin with it."""

    def __init__(self, stage: Stage, story: Story, count: int, partitions: int = 1):
        self.stage, self.story = stage, story
        self.topic, self.group = stage.topic(partitions=partitions), stage.name("group")
        for partition in range(partitions):
            stage.numbers(self.topic, count, partition)

    def dataset(self, stream_timeout: int = 0, configuration=EARLIEST, **options):
        return KafkaGroupDataset(
            self.topic,
            self.group,
            self.stage.servers,
            stream_timeout,
            configuration,
            **{"metadata": True, **options},
        )

    def mini_datasets(self, stream_timeout: int = 0, records: int = 100, **options):
        return KafkaBatchDataset(
            self.topic,
            self.group,
            self.stage.servers,
            stream_timeout,
            mini_size(records),
            **{"metadata": True, **options},
        )

    def note_commits(self, when: str) -> None:
        self.story.commit(when, self.stage.committed(self.group, self.topic))

    def wait_until_left(self) -> None:
        """A broken-off iterator may be in a cycle of references."""
        gc.collect()
        self.stage.wait_for_members(self.group, 0)

    def rest(self) -> None:
        """Read what is left, as a new reader of the group does."""
        self.story.step("another reader of the group")
        self.story.deliver(places(self.dataset()))
        self.note_commits("at the end")


@scenario()
def group_commit_by_count(stage: Stage, story: Story) -> None:
    """Nothing is committed but the beginning and what `commit` says: some records, then all."""
    numbers = Numbers(stage, story, 300)
    dataset = numbers.dataset(auto_commit=False)
    story.deliver(places(dataset))
    numbers.note_commits("after the first reading")
    dataset.commit(120)
    numbers.note_commits("after commit(120)")
    story.step("again")
    story.deliver(places(dataset))
    dataset.commit()
    numbers.note_commits("after commit()")
    numbers.wait_until_left()


@scenario()
def group_commit_after_break(stage: Stage, story: Story) -> None:
    """`commit` after a loop was broken off, when the group has no member any more."""
    numbers = Numbers(stage, story, 300)
    dataset = numbers.dataset(FOR_EVER, auto_commit=False)
    story.deliver(places(dataset.take(30)))
    numbers.wait_until_left()
    dataset.commit(20)
    numbers.note_commits("after commit(20)")
    numbers.rest()


@scenario()
def group_break_with_auto_commit(stage: Stage, story: Story) -> None:
    """A loop that is broken off in its first chunk leaves that uncommitted."""
    numbers = Numbers(stage, story, 100)
    for message, _, where in numbers.dataset(FOR_EVER):
        story.deliver([place(message.numpy(), where)])
        break
    numbers.wait_until_left()
    numbers.note_commits("after the break")
    numbers.rest()


@scenario()
def group_commit_callback_counts(stage: Stage, story: Story) -> None:
    """`fit` and `evaluate` commit what finished steps have used, by counting batches."""
    numbers = Numbers(stage, story, 500)
    dataset = numbers.dataset(metadata=False, decode=LABELLED, batch_size=10)
    commits, model = CommitCallback(dataset), linear()
    for steps in (20, 15):
        seen = _Noted()
        batches = dataset.map(seen.note)
        model.fit(batches, callbacks=[commits], steps_per_epoch=steps, verbose=0)
        story.step(f"{steps} steps of fit")
        # What tf.data has asked ahead is no step's.
        story.deliver(seen.numbers[: 10 * steps])
        numbers.note_commits("after them")
    model.evaluate(dataset, callbacks=[commits], verbose=0)
    numbers.note_commits("after evaluate")
    numbers.wait_until_left()


@scenario()
def group_commit_callback_watches(stage: Stage, story: Story) -> None:
    """Behind a shuffle, with records left out: all used ones are committed.

    The order is that of the shuffle, whose seed is given; only which records came is kept.
    """
    numbers = Numbers(stage, story, 500)
    dataset = numbers.dataset(decode=LABELLED)
    commits, seen = CommitCallback(dataset), _Noted()
    some = commits.filter(dataset, lambda _features, _label, where: where.offset // 100 != 2)
    batches = commits.watch(some.shuffle(50, seed=1).batch(10)).map(seen.note)
    linear().fit(batches, callbacks=[commits], verbose=0)
    story.deliver_sorted(seen.numbers)
    numbers.note_commits("after fit")
    numbers.wait_until_left()


@scenario()
def group_commit_callback_failing_model(stage: Stage, story: Story) -> None:
    """A model fails at its 31st step; what was sent of 30 steps depends on the clock.

    So of the commits only this is kept: no more than what was used, and another reader goes on
    exactly there.
    """
    numbers = Numbers(stage, story, 500)
    dataset = numbers.dataset(metadata=False, decode=LABELLED, batch_size=10)
    try:
        linear().fit(dataset, callbacks=[CommitCallback(dataset), _FailAt(31)], verbose=0)
    except RuntimeError as error:
        story.error(error)
    dataset.close()
    committed = stage.committed(numbers.group, numbers.topic).get(0, 0)
    story.step(f"no more than was used is committed: {committed <= 310}")
    rest = [*places(numbers.dataset())]
    story.step(f"the next reader begins there: {rest[0] == f'0:{committed}:{committed}'}")
    story.deliver(rest[310 - committed :])
    numbers.note_commits("at the end")


@scenario(BY_PARTITION)
def group_ends_where_it_ended(stage: Stage, story: Story) -> None:
    """stream_timeout 0: records that come meanwhile may be delivered now or the next time.

    Both readings together have each record once.
    """
    numbers = Numbers(stage, story, 100, partitions=2)
    found = []
    for message, _, where in numbers.dataset():
        if not found:
            stage.numbers(numbers.topic, 50, 1, first=100)
        found.append(place(message.numpy(), where))
    story.step(f"at least what was there: {len(found) >= 200}")
    story.deliver([*found, *places(numbers.dataset())])
    numbers.note_commits("at the end")


@scenario()
def group_late_records(stage: Stage, story: Story) -> None:
    """stream_timeout > 0: late records are delivered, and unbroken silence is the end."""
    numbers = Numbers(stage, story, 3)
    for message, _, where in numbers.dataset(SILENCE_MS):
        story.deliver([place(message.numpy(), where)])
        if int(where.offset) in (2, 5):
            story.step("three more are written")
            stage.numbers(numbers.topic, 3, first=int(where.offset) + 1)
    numbers.note_commits("after the silence")
    numbers.wait_until_left()


@scenario()
def group_latest(stage: Stage, story: Story) -> None:
    """A new group begins at the end by default; from then on its settings do not move it."""
    numbers = Numbers(stage, story, 10)
    story.deliver(places(numbers.dataset(configuration=None)))
    numbers.note_commits("after reading with the default")
    story.step("earliest")
    story.deliver(places(numbers.dataset()))
    numbers.note_commits("after reading with earliest")
    story.step("latest, with five more in the topic")
    stage.numbers(numbers.topic, 5, first=10)
    story.deliver(places(numbers.dataset(configuration=["auto.offset.reset=latest"])))
    numbers.note_commits("after reading with latest")


@scenario()
def group_deleted_unread_by_reset(stage: Stage, story: Story) -> None:
    """Records after the committed offset are deleted: an error with each auto.offset.reset."""
    for reset in ("earliest", "latest", "error"):
        numbers = Numbers(stage, story, 100)
        story.step(f"auto.offset.reset={reset}")
        first = numbers.dataset(auto_commit=False)
        story.deliver(places(first.take(30)))
        numbers.wait_until_left()
        first.commit(30)
        stage.delete_before(numbers.topic, 60)
        story.step("30 committed, 60 deleted")
        dataset = numbers.dataset(configuration=[f"auto.offset.reset={reset}"])
        try:
            story.deliver(places(dataset))
        except Exception as error:
            story.error(error, dataset)
        numbers.note_commits(reset)


@scenario(BY_PARTITION)
def group_several_topics(stage: Stage, story: Story) -> None:
    """Two topics of one group; then a topic that is missing."""
    topics, group = [stage.topic("one"), stage.topic("two", 2)], stage.name("group")
    stage.numbers(topics[0], 50)
    stage.numbers(topics[1], 50, 1)
    dataset = KafkaGroupDataset(topics, group, stage.servers, 0, EARLIEST, metadata=True)
    story.deliver(
        f"{where.topic.decode()}/{place(message, where)}"
        for message, _, where in dataset.as_numpy_iterator()
    )
    for topic in topics:
        story.commit(stage.normalise(topic), stage.committed(group, topic))
    missing = KafkaGroupDataset(stage.name("missing"), group, stage.servers, 1000)
    try:
        story.deliver(places(missing))
    except Exception as error:
        story.error(error, missing)


@scenario()
def group_poisoned_records(stage: Stage, story: Story) -> None:
    """Poisoned records of a group: fail commits nothing, skip and quarantine commit them too."""
    quarantine = stage.topic("quarantine")
    for policy, target in (("fail", None), ("skip", None), ("quarantine", quarantine)):
        story.step(policy)
        numbers = Numbers(stage, story, 3)
        stage.produce(numbers.topic, ["poison", None, "5"], ["1", "1", "one"])
        stage.numbers(numbers.topic, 3, first=6)
        dataset = numbers.dataset(decode=LABELLED, auto_commit=False, **poisoned(policy, target))
        try:
            for features, label, where in dataset:
                story.deliver([f"{int(where.offset)}: {features.numpy().tolist()} {float(label)}"])
            story.step(counted(dataset.counts))
        except Exception as error:
            story.error(error, dataset)
        for count in (3, 4, None) if policy != "fail" else ():
            dataset.commit(count)
            numbers.note_commits(f"{policy}, commit({count})")
        dataset.close()
    for message in stage.messages(quarantine):
        story.deliver([f"{message.value()!r} {message.key()!r} {message.headers()}"])


@scenario()
def mini_batch_break(stage: Stage, story: Story) -> None:
    """A loop is broken off in its third mini dataset; another one after `commit`."""
    numbers = Numbers(stage, story, 600)
    dataset = numbers.mini_datasets(FOR_EVER)
    for number, mini in enumerate(dataset, 1):
        story.deliver(places(mini))
        if number == 3:
            break
    dataset.close()
    numbers.note_commits("after the break")
    dataset = numbers.mini_datasets(FOR_EVER, auto_commit=False)
    for number, mini in enumerate(dataset, 1):
        story.step(f"mini dataset {number} of the second loop")
        story.deliver(places(mini))
        if number == 2:
            dataset.commit()
            break
    dataset.close()
    numbers.note_commits("after commit() and the break")
    numbers.rest()


@scenario()
def mini_batch_quiet_and_silent(stage: Stage, story: Story) -> None:
    """A mini dataset that is not full comes when the topic is quiet; silence ends the stream."""
    numbers = Numbers(stage, story, 250)
    for number, mini in enumerate(numbers.mini_datasets(SILENCE_MS), 1):
        story.step(f"mini dataset {number} of {len(mini)}")
        story.deliver(places(mini.repeat(2)))
        numbers.note_commits(f"in mini dataset {number}")
        if number == 3:
            stage.numbers(numbers.topic, 30, first=250)
    numbers.note_commits("after the silence")
    numbers.wait_until_left()


@scenario()
def mini_batch_poisoned_records(stage: Stage, story: Story) -> None:
    """Poisoned records are skipped, also where a mini dataset has nothing else."""
    numbers = Numbers(stage, story, 15)
    stage.produce(numbers.topic, ["poison"] * 10)
    stage.numbers(numbers.topic, 5, first=25)
    for policy in ("fail", "skip"):
        dataset = numbers.mini_datasets(
            records=10, metadata=False, decode=LABELLED, **poisoned(policy)
        )
        try:
            for mini in dataset:
                story.step(f"{policy}: mini dataset of {len(mini)}")
                story.deliver(str(int(features[0])) for features, _ in mini)
        except Exception as error:
            story.error(error, dataset)
        numbers.note_commits(policy)


class _Noted:
    """Notes the first feature of each record of the batches that go through."""

    def __init__(self) -> None:
        self.numbers: list[str] = []

    def note(self, features, labels):
        """To be mapped over batches."""
        import tensorflow as tf

        def note(batch) -> int:
            self.numbers += [str(int(row[0])) for row in batch]
            return 0

        with tf.control_dependencies([tf.numpy_function(note, [features], tf.int64)]):
            return tf.identity(features), labels


class _FailAt(keras.callbacks.Callback):
    """Fails when a step has been finished, after the callbacks before it in the list."""

    def __init__(self, step: int):
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self._step:
            raise RuntimeError("the model fails")
