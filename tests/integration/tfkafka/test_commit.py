"""CommitCallback: what a Keras model has used is committed, and no more."""

from __future__ import annotations

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfkafka import CommitCallback, CsvDecoder, KafkaGroupDataset, write
from tfkafka.testing import wait_for

SETTINGS = ["auto.offset.reset=earliest"]
DECODE = CsvDecoder(2, label="key")


class Stop(Exception):
    """The model stops here."""


class StopAt(keras.callbacks.Callback):
    """Fails when a step has been finished, after the callbacks before it in the list."""

    def __init__(self, step: int):
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch >= self._step:
            raise Stop


class Judge(keras.callbacks.Callback):
    """Fails where a record could be committed that no finished step has used.

    It belongs after the CommitCallback. The features of record n begin with n.
    """

    def __init__(self, dataset: KafkaGroupDataset, topic: str):
        super().__init__()
        self._dataset, self._topic = dataset, topic
        self._left: list[set[int]] = []
        self._before = self._steps = 0

    def see(self, pipeline: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same batches, which are noted when they leave the pipeline."""

        def note(features):
            self._left.append({int(n) for n in features[:, 0]})
            return features

        def noted(features, label):
            features.set_shape([None, 2])
            same = tf.numpy_function(note, [features], tf.float32)
            return tf.ensure_shape(same, [None, 2]), label

        return pipeline.map(noted)

    def used(self) -> set[int]:
        return set().union(*self._left[: self._steps])

    def on_train_begin(self, logs=None):
        # Keras may have taken a batch of an earlier iteration.
        self._left, self._before, self._steps = [], 0, 0

    on_test_begin = on_predict_begin = on_train_begin

    def on_epoch_begin(self, epoch, logs=None):
        self._before = self._steps

    def on_train_batch_end(self, batch, logs=None):
        self._steps = self._before + batch + 1
        position = self._dataset._membership.tracker.committable().get((self._topic, 0), 0)
        unused = {*range(position)} - self.used()
        assert not unused, f"after step {self._steps}: {len(unused)} of {position} are not used"

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


@pytest.fixture
def filled(kafka, topic) -> str:
    write(kafka.bootstrap_servers, topic, [f"{n},1" for n in range(1000)], ["1"] * 1000)
    return topic


@pytest.fixture
def model() -> keras.Model:
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def _dataset(kafka, topic, group, **arguments) -> KafkaGroupDataset:
    return KafkaGroupDataset(
        topic, group, kafka.bootstrap_servers, 0, SETTINGS, decode=DECODE, **arguments
    )


@pytest.mark.parametrize("steps_per_execution", [1, 8])
def test_all_is_committed_after_fit(
    kafka, filled, group, admin, committed, model, steps_per_execution
):
    if steps_per_execution > 1 and keras.backend.backend() == "torch":
        pytest.skip("Keras refuses several steps with torch")
    model.compile("sgd", "mse", steps_per_execution=steps_per_execution)
    dataset = _dataset(kafka, filled, group, batch_size=10)
    model.fit(dataset, callbacks=[CommitCallback(dataset)], verbose=0)
    assert committed() == {0: 1000}
    assert not admin.has_members(group)


def test_all_is_committed_after_evaluate(kafka, filled, group, committed, model):
    dataset = _dataset(kafka, filled, group)
    model.evaluate(dataset.batch(10), callbacks=[CommitCallback(dataset, 10)], verbose=0)
    assert committed() == {0: 1000}


def test_a_model_that_stops_has_committed_what_it_finished_and_no_more(
    kafka, filled, group, committed, model, monkeypatch
):
    monkeypatch.setattr("tfkafka.data.commit_callback.COMMIT_EVERY_S", -1.0)
    dataset = _dataset(kafka, filled, group)
    commits = CommitCallback(dataset, batch_size=10)
    with pytest.raises(Stop):
        model.fit(dataset.batch(10), callbacks=[commits, StopAt(29)], verbose=0)
    dataset.close()
    # Sent in the background: the last one may be on its way when the loop ends.
    assert committed()[0] in (290, 300)


def test_behind_a_shuffle_only_what_is_surely_used(kafka, filled, group, model, monkeypatch):
    monkeypatch.setattr("tfkafka.data.commit_callback.COMMIT_EVERY_S", -1.0)
    dataset = _dataset(kafka, filled, group, metadata=True)
    commits = CommitCallback(dataset)
    used: set[int] = set()
    positions = []

    class Check(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            position = dataset._membership.tracker.committable().get((filled, 0), 0)
            positions.append(position)

    def remember(batch_features):
        used.update(int(n) for n in batch_features[:, 0])

    pipeline = commits.watch(_shuffled(dataset))
    order = [features.numpy() for features, _ in _same(kafka, filled, group + "-order")]
    model.fit(pipeline, callbacks=[commits, Check()], verbose=0)
    for step, position in enumerate(positions):
        remember(order[step])
        assert {*range(position)} <= used, f"step {step}: committed {position}, not all used"
    assert positions[-1] == 1000
    assert max(positions[:50]) > 0


def _same(kafka, topic, group):
    """The same shuffled batches once more."""
    dataset = _dataset(kafka, topic, group, metadata=True)
    return _shuffled(dataset).map(lambda x, y, where: (x, y))


def _shuffled(dataset):
    # Keras may begin to iterate twice.
    return dataset.shuffle(200, seed=1, reshuffle_each_iteration=False).batch(10)


@pytest.mark.parametrize("buffer", [1, 100, 5000])
def test_each_record_is_used_without_the_callback(kafka, filled, group, committed, model, buffer):
    """Where Keras first takes a batch to build the model, what tf.data holds is read again."""
    steps = []

    class Steps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)

    dataset = _dataset(kafka, filled, group)
    model.fit(dataset.shuffle(buffer).batch(10), callbacks=[Steps()], verbose=0)
    assert len(steps) == 100
    assert committed() == {0: 1000}


def test_two_epochs(kafka, filled, group, committed, model):
    dataset = _dataset(kafka, filled, group, batch_size=10)
    commits = CommitCallback(dataset)
    model.fit(dataset, callbacks=[commits], verbose=0)
    write(kafka.bootstrap_servers, filled, ["1,1"] * 55, ["1"] * 55)
    model.fit(dataset, callbacks=[commits], verbose=0)
    assert committed() == {0: 1055}


def _ways(dataset: KafkaGroupDataset):
    """The callback and its pipeline of batches of 10: counting, or with the records' positions.

    With some batches ready when an iteration is broken off.
    """
    if dataset.batch_size is None:
        commits = CommitCallback(dataset)
        return commits, commits.watch(dataset.batch(10)).prefetch(5)
    return CommitCallback(dataset), dataset.prefetch(5)


WAYS = [{"batch_size": 10}, {"metadata": True}]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way)))
def test_epochs_of_some_steps_are_of_one_iteration(kafka, filled, group, committed, model, way):
    dataset = _dataset(kafka, filled, group, **way)
    commits, batches = _ways(dataset)
    model.fit(batches, callbacks=[commits], epochs=3, steps_per_epoch=20, verbose=0)
    assert committed() == {0: 600}
    # Another iteration goes on there; what the first one had ready is read again.
    model.fit(batches, callbacks=[commits], steps_per_epoch=10, verbose=0)
    assert committed() == {0: 700}
    dataset.close()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way)))
def test_steps_of_the_validation_are_not_of_the_stream(kafka, filled, group, committed, model, way):
    dataset = _dataset(kafka, filled, group, **way)
    commits, batches = _ways(dataset)
    others = np.zeros((1000, 2)), np.zeros(1000)
    model.fit(
        batches,
        callbacks=[commits],
        steps_per_epoch=20,
        validation_data=others,
        validation_batch_size=10,
        verbose=0,
    )
    assert committed() == {0: 200}
    model.evaluate(batches, callbacks=[commits], verbose=0)
    assert committed() == {0: 1000}


def _compile(model, steps_per_execution):
    if steps_per_execution > 1 and keras.backend.backend() == "torch":
        pytest.skip("Keras refuses several steps with torch")
    optimizer = keras.optimizers.SGD(0.0)
    model.compile(optimizer, "mse", steps_per_execution=steps_per_execution)


@pytest.mark.parametrize("loop", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("steps_per_execution, proven", [(4, 40), (32, 0)])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way)))
def test_steps_that_had_no_data_count_for_nothing(
    kafka, filled, group, committed, model, loop, steps_per_execution, proven, way, caplog
):
    """Keras reports `steps_per_execution` steps also where the data ended among them."""
    _compile(model, steps_per_execution)
    dataset = _dataset(kafka, filled, group, **way)
    commits, judge = CommitCallback(dataset), Judge(dataset, filled)
    if "metadata" in way:
        batches, proven = commits.watch(dataset.batch(10).take(5)), 50
    else:
        batches = dataset.take(5)
    getattr(model, loop)(judge.see(batches), callbacks=[commits, judge], verbose=0)
    dataset.close()
    assert judge.used() == {*range(50)}
    assert (committed().get(0) or 0) == proven
    assert ("watch()" in caplog.text) == (proven != 50)


@pytest.mark.parametrize("loop", ["evaluate", "predict"])
def test_the_end_of_the_stream_proves_the_last_steps(kafka, filled, group, committed, model, loop):
    _compile(model, 1 if keras.backend.backend() == "torch" else 32)
    dataset = _dataset(kafka, filled, group, batch_size=10)
    commits, judge = CommitCallback(dataset), Judge(dataset, filled)
    getattr(model, loop)(judge.see(dataset), callbacks=[commits, judge], verbose=0)
    assert committed() == {0: 1000}


class Waits(keras.callbacks.Callback):
    """Waits after each step until the stream was read to its end."""

    def __init__(self, dataset: KafkaGroupDataset):
        super().__init__()
        self._dataset = dataset

    def on_train_batch_end(self, batch, logs=None):
        wait_for(lambda: self._dataset._membership.has_ended, "the stream to end")

    on_test_batch_end = on_train_batch_end


def test_an_end_that_was_read_ahead_proves_no_steps(kafka, filled, group, committed, model):
    _compile(model, 4)
    dataset = _dataset(kafka, filled, group, batch_size=10)
    callbacks = [Waits(dataset), CommitCallback(dataset)]
    model.evaluate(dataset.prefetch(200).take(5), callbacks=callbacks, verbose=0)
    assert committed() == {0: 40}


def test_the_next_epoch_proves_the_last_steps(kafka, filled, group, committed, model):
    _compile(model, 4)
    dataset = _dataset(kafka, filled, group, batch_size=10)
    commits, judge = CommitCallback(dataset), Judge(dataset, filled)
    with dataset:
        model.fit(
            judge.see(dataset),
            callbacks=[commits, judge],
            initial_epoch=3,
            epochs=5,
            steps_per_epoch=8,
            verbose=0,
        )
        assert judge.used() == {*range(160)}
        assert committed() == {0: 120}


@pytest.mark.parametrize(
    "epochs, steps, steps_per_execution, ahead",
    [(1, 140, 1, 3), (1, 140, 8, 0), (1, 140, 1, 200), (3, 50, 1, 0), (3, 50, 8, 3)],
)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way)))
def test_a_repeated_stream(
    kafka,
    filled,
    group,
    committed,
    model,
    monkeypatch,
    ahead,
    steps_per_execution,
    epochs,
    steps,
    way,
):
    """The iteration changes in an epoch, or between two, while Keras counts on."""
    monkeypatch.setattr("tfkafka.data.commit_callback.COMMIT_EVERY_S", -1.0)
    _compile(model, steps_per_execution)
    dataset = _dataset(kafka, filled, group, **way)
    commits, judge = CommitCallback(dataset), Judge(dataset, filled)

    def add():
        more = [f"{n},1" for n in range(1000, 1600)]
        write(kafka.bootstrap_servers, filled, more, ["1"] * 600)
        yield from ()

    first = dataset if dataset.batch_size else dataset.batch(10)
    end = tf.data.Dataset.from_generator(add, output_signature=first.element_spec)
    batches = first.concatenate(end).repeat()
    if dataset.batch_size is None:
        batches = commits.watch(batches)
    with dataset:
        model.fit(
            judge.see(batches.prefetch(ahead) if ahead else batches),
            callbacks=[commits, judge],
            epochs=epochs,
            steps_per_epoch=steps,
            verbose=0,
        )
        position = committed()[0]
    # What was read so far ahead is read again.
    assert position > (1000 if ahead < 200 else 100) and {*range(position)} <= judge.used()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way)))
def test_a_python_generator(kafka, filled, group, committed, model, way):
    """Keras takes batches of one before the training begins."""
    dataset = _dataset(kafka, filled, group, **way)
    commits = CommitCallback(dataset)
    pipeline = commits.watch(dataset.batch(10)) if "metadata" in way else dataset
    batches = (batch for batch in pipeline)
    model.fit(batches, callbacks=[commits], verbose=0)
    assert committed() == {0: 1000}


def test_epochs_that_leave_out_what_was_read_ahead(kafka, filled, group, committed, model):
    dataset = _dataset(kafka, filled, group, batch_size=10)
    callbacks = [Waits(dataset), CommitCallback(dataset)]
    with dataset:
        ahead = dataset.prefetch(200).take(5)
        model.fit(ahead, callbacks=callbacks, epochs=3, verbose=0)
        assert committed() == {0: 150}


def test_a_pass_that_begins_before_the_end_is_not_counted(
    kafka, filled, group, committed, model, caplog
):
    dataset = _dataset(kafka, filled, group, batch_size=10)
    commits, judge = CommitCallback(dataset), Judge(dataset, filled)
    with dataset:
        again = judge.see(dataset.take(7)).repeat().prefetch(3)
        model.fit(again, callbacks=[commits, judge], steps_per_epoch=12, epochs=2, verbose=0)
        assert 0 < committed()[0] <= 70
    assert caplog.text.count("CommitCallback commits no more") == 1


def test_steps_on_other_data_count_for_nothing(kafka, filled, group, committed, model):
    dataset = _dataset(kafka, filled, group, batch_size=10)
    commits = CommitCallback(dataset)
    with dataset:
        model.evaluate(dataset, steps=5, callbacks=[commits], verbose=0)
        others = np.zeros((1000, 2)), np.zeros(1000)
        model.fit(*others, batch_size=10, callbacks=[commits], verbose=0)
        assert committed() == {0: 50}


def test_records_that_are_left_out_are_committed(kafka, filled, group, committed, model):
    dataset = _dataset(kafka, filled, group, metadata=True)
    commits = CommitCallback(dataset)
    kept = commits.filter(dataset, lambda features, label, where: where.offset % 3 > 0)
    seen = [int(n) for batch, _ in commits.watch(kept.batch(10)) for n in batch[:, 0]]
    assert seen == [n for n in range(1000) if n % 3]
    dataset.close()
    model.fit(commits.watch(kept.shuffle(50).batch(10)), callbacks=[commits], verbose=0)
    assert committed() == {0: 1000}


def test_wrong_use_is_refused(kafka, filled, group, model):
    dataset = _dataset(kafka, filled, group)
    commits = CommitCallback(dataset)
    with pytest.raises(ValueError, match="metadata=True"):
        commits.watch(dataset.batch(10))
    with pytest.raises(ValueError, match=r"filter: .*metadata=True"):
        commits.filter(dataset, lambda features, label: True)
    with pytest.raises(ValueError, match="batch_size"):
        model.fit(dataset.batch(10), callbacks=[commits], verbose=0)
    dataset.close()


@pytest.mark.parametrize("loop", ["fit", "evaluate", "predict"])
def test_a_with_block_leaves_the_group_where_keras_raises(kafka, filled, group, admin, model, loop):
    """The exception's traceback, and cycles in Keras, keep the iterator."""

    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ArithmeticError("the callback")

        on_test_batch_end = on_predict_batch_end = on_train_batch_end

    stream = KafkaGroupDataset(
        filled, group, kafka.bootstrap_servers, -1, SETTINGS, decode=DECODE, batch_size=10
    )
    gc.disable()
    try:
        with pytest.raises(ArithmeticError, match="the callback"), stream as entered:
            assert entered is stream
            getattr(model, loop)(stream, callbacks=[Fails()], verbose=0)
        assert not admin.has_members(group)
    finally:
        gc.enable()
