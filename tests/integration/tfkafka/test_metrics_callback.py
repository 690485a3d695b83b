"""What Keras' logs, and so History and TensorBoard, have of a stream."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from tfkafka import (
    CommitCallback,
    CsvDecoder,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    MetricsCallback,
    write,
)

SETTINGS = ["auto.offset.reset=earliest"]
NAMES = {"lag", "records_per_second", "bad_records"}
GOOD, BAD = 1000, 3


@pytest.fixture
def filled(servers, topic) -> str:
    write(servers, topic, [f"{n},1" for n in range(GOOD)], ["1"] * GOOD)
    write(servers, topic, ["x"] * BAD, ["1"] * BAD)
    return topic


@pytest.fixture
def model() -> keras.Model:
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


@pytest.fixture
def every_batch(monkeypatch) -> None:
    """Measure for each batch; otherwise once a second."""
    monkeypatch.setattr("tfkafka.data.metrics_callback.EVERY_S", 0.0)


@pytest.fixture
def patient(monkeypatch) -> None:
    """A lag is nan only where Kafka does not answer; otherwise where it takes longer than 1 s."""
    monkeypatch.setattr("tfkafka.data.metrics_callback.PATIENCE_S", 60.0)


class Clock:
    """A time that goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tfkafka.data.metrics_callback.time", clock)
    return clock


class Logs(keras.callbacks.Callback):
    """Keeps the logs that callbacks after the others get."""

    def __init__(self):
        super().__init__()
        self.of_batches: list[dict[str, float]] = []
        self.at_end: dict[str, float] = {}

    def on_train_batch_end(self, batch, logs=None):
        self.of_batches.append(dict(logs))

    on_test_batch_end = on_train_batch_end
    on_predict_batch_end = on_train_batch_end

    def on_test_end(self, logs=None):
        self.at_end = dict(logs)


def dataset(servers: str, topic: str, group: str, **options) -> KafkaGroupDataset:
    chosen = {"decode": CsvDecoder(2, label="key"), "batch_size": 10, "on_bad_record": "skip"}
    return KafkaGroupDataset(topic, group, servers, 0, SETTINGS, **chosen | options)


def test_what_an_epoch_has_read(servers, filled, group, model, patient):
    stream = dataset(servers, filled, group)
    callbacks = [CommitCallback(stream), MetricsCallback(stream)]
    history = model.fit(stream, callbacks=callbacks, verbose=0).history
    assert history["lag"] == [0]
    assert history["bad_records"] == [BAD]
    [rate] = history["records_per_second"]
    assert 0 < rate < 1e6


def test_the_lag_of_epochs_in_one_iteration(servers, filled, group, model, patient):
    """One epoch has 400 records, and what it has not used is not committed."""
    stream = dataset(servers, filled, group)
    callbacks = [CommitCallback(stream), MetricsCallback(stream)]
    history = model.fit(
        stream, epochs=2, steps_per_epoch=40, callbacks=callbacks, verbose=0
    ).history
    assert history["lag"] == [GOOD + BAD - 400, GOOD + BAD - 800]
    stream.close()


def test_each_batch_has_them_for_tensorboard(
    servers, filled, group, model, tmp_path, every_batch, patient
):
    pytest.importorskip("tensorboard", reason="TensorFlow 2.21 comes without it")
    stream = dataset(servers, filled, group)
    board = keras.callbacks.TensorBoard(tmp_path, update_freq=1)
    callbacks = [CommitCallback(stream), MetricsCallback(stream), board]
    model.fit(stream, callbacks=callbacks, verbose=0)
    written = scalars(tmp_path / "train")
    assert written["epoch_lag"] == [0]
    assert written["epoch_bad_records"] == [BAD]
    known = [lag for lag in written["batch_lag"] if not math.isnan(lag)]
    assert known and all(0 <= lag <= GOOD + BAD for lag in known)
    assert len(written["batch_records_per_second"]) == 100


def scalars(folder: Path) -> dict[str, list[float]]:
    """Return the values of each name in TensorBoard's files."""
    found = defaultdict(list)
    for path in sorted(folder.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for each in event.summary.value:
                if each.metadata.plugin_data.plugin_name == "scalars" or each.tensor.float_val:
                    found[each.tag].append(float(tf.make_ndarray(each.tensor)))
    return found


def test_evaluate_and_predict_have_them(servers, filled, group, model, every_batch):
    logs = Logs()
    stream = dataset(servers, filled, group)
    model.evaluate(stream, callbacks=[MetricsCallback(stream), logs], verbose=0)
    assert logs.at_end["bad_records"] == BAD
    assert logs.at_end.keys() >= NAMES
    logs = Logs()
    stream = dataset(servers, filled, f"{group}-2")
    features = stream.map(lambda features, label: features)
    model.predict(features, callbacks=[MetricsCallback(stream), logs], verbose=0)
    assert logs.of_batches[-1].keys() >= NAMES


def test_the_steps_of_validation_have_none(servers, filled, group, model, every_batch):
    logs = Logs()
    stream = dataset(servers, filled, group)
    other = tf.data.Dataset.from_tensors(([[1.0, 1.0]], [[1.0]]))
    model.fit(other, validation_data=other, callbacks=[MetricsCallback(stream), logs], verbose=0)
    trained, validated = logs.of_batches
    assert trained.keys() >= NAMES
    assert not validated.keys() & NAMES
    assert not logs.at_end.keys() & NAMES


def test_batches_are_measured_once_a_second(servers, filled, group, model, clock):
    """The first second has none."""

    class OneSecond(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            clock.now += 1.0 if batch in (50, 70) else 0.0

    logs = Logs()
    stream = dataset(servers, filled, group)
    callbacks = [OneSecond(), MetricsCallback(stream), logs]
    model.fit(stream, callbacks=callbacks, verbose=0)
    measured = [each.get("records_per_second") for each in logs.of_batches]
    assert measured[:50] == [None] * 50
    # In the meantime all may have been read.
    assert len(set(measured[50:70])) == len(set(measured[70:])) == 1
    assert measured[50] > 0


def test_the_lag_after_the_end_of_the_stream(servers, filled, group, model, patient):
    """The group has been left by then."""

    class Writer(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            write(servers, filled, ["1,1"] * 7, ["1"] * 7)

    stream = dataset(servers, filled, group)
    callbacks = [CommitCallback(stream), Writer(), MetricsCallback(stream)]
    history = model.fit(stream, callbacks=callbacks, verbose=0).history
    assert history["lag"] == [7]


def test_mini_datasets(servers, filled, group, model, clock, patient):
    online = KafkaMiniBatchDataset(
        filled,
        group,
        servers,
        0,
        SETTINGS,
        records=500,
        decode=CsvDecoder(2, label="key"),
        on_bad_record="skip",
    )
    callback = MetricsCallback(online)
    lags, rates = [], []
    for mini in online:
        clock.now += 10.0
        history = model.fit(mini.batch(10), callbacks=[callback], verbose=0).history
        lags += history["lag"]
        rates += history["records_per_second"]
    # A mini dataset is committed when the next one is asked for.
    assert lags == [GOOD + BAD, GOOD + BAD - 500]
    assert rates == [50, 50]
