"""Exactly-once inference and online learning while nothing fails."""

from __future__ import annotations

import threading

import numpy as np

from tests.histories.history import Story
from tests.histories.product import counted, keras_predict, poisoned
from tests.histories.readers import Learner, Worker, first_column, linear
from tests.histories.registry import scenario
from tests.histories.stage import Stage
from tests.histories.waiting import wait_for

SILENCE_MS = 3000


@scenario()
def exactly_once_poisoned_records(stage: Stage, story: Story) -> None:
    """Poisoned records fail by name, are skipped, or go to a quarantine."""
    quarantine = stage.topic("quarantine")
    for policy, target in (("fail", None), ("skip", None), ("quarantine", quarantine)):
        topic = stage.topic()
        stage.numbers(topic, 100)
        stage.produce(topic, ["1,2,3", None], ["k", "1"])
        stage.numbers(topic, 20, first=102)
        story.step(policy)
        worker = Worker(stage, story, topic)
        try:
            story.step(counted(worker.make(**poisoned(policy, target)).run()))
        except Exception as error:
            story.error(error)
        story.deliver(worker.fresh())
        worker.note_commits(policy)
    for message in stage.messages(quarantine):
        story.deliver([f"{message.value()!r} {message.key()!r} {message.headers()}"])


@scenario()
def exactly_once_model_fails_and_runs_again(stage: Stage, story: Story) -> None:
    """The model fails at its third batch, or leaves out a record; the next worker goes on."""
    topic = stage.topic()
    stage.numbers(topic, 500)
    worker = Worker(stage, story, topic)
    batches: list[int] = []

    def fails(rows):
        batches.append(len(rows))
        if len(batches) == 3:
            raise RuntimeError("the model fails")
        return first_column(rows)

    for predict in (fails, lambda rows: rows[1:, 0], first_column):
        try:
            worker.make(predict).run()
        except Exception as error:
            story.error(error)
    # Whether the second batch was committed before the third failed is not determined.
    story.deliver(worker.fresh())
    worker.note_commits("at the end")


@scenario()
def exactly_once_late_records(stage: Stage, story: Story) -> None:
    """A transaction that is not full is committed after its time; silence ends the stream."""
    topic = stage.topic()
    stage.numbers(topic, 130)
    worker = Worker(stage, story, topic)
    committed: list[int] = []
    running = worker.make(
        stream_timeout=SILENCE_MS,
        transaction_wait=50,
        on_commit=lambda counts: committed.append(counts.read),
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    wait_for(lambda: committed and committed[-1] == 130, "the first records to be committed")
    stage.numbers(topic, 5, first=130)
    wait_for(lambda: not thread.is_alive(), "the worker to end after silence")
    story.step(counted(running.counts))
    story.deliver(worker.fresh())
    worker.note_commits("after the silence")


@scenario()
def exactly_once_stop(stage: Stage, story: Story) -> None:
    """`stop` ends a stream that never ends, with all committed that was in work."""
    topic = stage.topic()
    stage.numbers(topic, 130)
    worker = Worker(stage, story, topic)
    committed: list[int] = []
    running = worker.make(
        keras_predict(_identity()),
        stream_timeout=-1,
        transaction_wait=50,
        on_commit=lambda counts: committed.append(counts.read),
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    wait_for(lambda: committed and committed[-1] == 130, "all records to be committed")
    running.stop()
    wait_for(lambda: not thread.is_alive(), "the worker to stop")
    stage.wait_for_members(worker.group, 0)
    story.deliver(worker.fresh())
    worker.note_commits("after stop()")


@scenario()
def exactly_once_missing_topics(stage: Stage, story: Story) -> None:
    """The topic of inputs, or that of predictions, is missing."""
    there, missing = stage.topic(), stage.name("missing")
    for topic, predictions in ((missing, None), (there, missing)):
        worker = Worker(stage, story, topic)
        worker.predictions = predictions or worker.predictions
        try:
            worker.make().run()
        except Exception as error:
            story.error(error)


@scenario(online=True)
def online_poisoned_records(stage: Stage, story: Story) -> None:
    """A poisoned record ends learning before its mini dataset; then it is skipped."""
    topic = stage.topic()
    stage.numbers(topic, 150)
    stage.produce(topic, ["1,2"], ["1"])
    stage.numbers(topic, 20, first=151)
    learner = Learner(stage, story, topic)
    for policy in ("fail", "skip"):
        story.step(policy)
        learner.read(**poisoned(policy))


@scenario(online=True)
def online_model_fails_and_learns_on(stage: Stage, story: Story) -> None:
    """Training fails in the third mini dataset; the same one is trained on again.

    Its plan is kept although the topic has grown.
    """
    topic = stage.topic()
    stage.numbers(topic, 250)
    learner = Learner(stage, story, topic)

    def fail(number: int) -> None:
        if number == 3:
            raise RuntimeError("training fails")

    learner.read(fail)
    stage.numbers(topic, 100, first=250)
    story.step("100 more, and learning goes on")
    learner.read()
    story.step("another size of mini datasets")
    learner.read(mini_dataset=50)


@scenario(online=True)
def online_tells_a_group(stage: Stage, story: Story) -> None:
    """A group has the offsets of learning; in each mini dataset those of the one before.

    Reports that come too fast may be left out, so each mini dataset waits for the one before it.
    """
    topic = stage.topic(partitions=2)
    for partition in range(2):
        stage.numbers(topic, 100, partition)
    learner = Learner(stage, story, topic, 2)
    group = stage.name("told")

    def wait_until_told(number: int) -> None:
        expected = 100 * (number - 1)
        wait_for(
            lambda: (
                len(told := stage.committed(group, topic)) == 2 and sum(told.values()) == expected
            ),
            f"group {group} to be told of {expected} records",
        )
        story.commit(f"in mini dataset {number}", stage.committed(group, topic))

    learner.read(wait_until_told, group_id=group)
    story.commit("at the end", stage.committed(group, topic))


@scenario(online=True)
def online_missing_topic(stage: Stage, story: Story) -> None:
    """There is no such topic."""
    Learner(stage, story, stage.name("missing")).read()


def _identity():
    """A Keras model that gives back its only feature."""
    model = linear()
    model.layers[-1].set_weights([np.ones((1, 1)), np.zeros(1)])
    return model
