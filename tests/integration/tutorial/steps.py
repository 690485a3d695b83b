"""The tutorial's readers at work; each function runs in a process of its own.

`reader` is the module that offers tensorflow-io's names.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduction.susy.schema import FEATURES
from tests.client_settings import as_list, client_settings
from tests.tutorial import (
    BATCH_SIZE,
    EPOCHS,
    GROUP_CONFIGURATION,
    ONLINE_BATCH_SIZE,
    ONLINE_EPOCHS,
    PATIENT_GROUP_CONFIGURATION,
    Messages,
    TrainedModel,
    write,
)
from tfkafka import Admin, GroupPartition
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for

SEED = 1
STREAM_TIMEOUT_MS = 10_000
# Later than one poll of one second, and well before the stream's timeout.
LATE_BY_S = 1.5


@dataclass(frozen=True)
class Elements:
    """What a dataset gave: records as bytes, and the matrix that TensorFlow decoded of them."""

    values: list[bytes]
    keys: list[bytes]
    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """Keras' metrics by group (empty when no record came) and for the same rows from memory.

    `steps` counts batches, `members` are those of the group at the first of them, and `group` is
    how far it was afterwards.
    """

    metrics: dict[str, float]
    in_memory: dict[str, float]
    steps: int
    members: set[str]
    group: list[GroupPartition]


@dataclass(frozen=True)
class OnlineTraining:
    """Records of each mini dataset, and Keras' history of each that was not empty."""

    rows: list[int]
    steps: list[int]
    histories: list[dict[str, list[float]]]


def read_partition(reader: str, servers: str, topic: str, configuration: list[str]) -> Elements:
    """Everything that from_kafka gives, raw and decoded."""
    dataset = partition_dataset(reader, servers, topic, configuration)
    both = dataset.map(lambda item: (item.message, item.key, *decode_item(item)))
    values, keys, features, labels = _all_of(both)
    return Elements(values.tolist(), keys.tolist(), features, labels)


def train(
    reader: str,
    servers: str,
    topic: str,
    configuration: list[str],
    path: Path,
    epochs: int = EPOCHS,
) -> TrainedModel:
    """Train the tutorial's model and save it at `path`.

    Whole batches are decoded here, which halves the CPU time and gives the same numbers; record by
    record, as in the tutorial, `read_partition` decodes them.
    """
    import tensorflow as tf

    from reproduction.susy.model import build_model

    _compute_in_one_thread()
    # Before the dataset is made: tensorflow-io's would not survive it afterwards.
    tf.keras.utils.set_random_seed(SEED)
    dataset = partition_dataset(reader, servers, topic, configuration)
    dataset = dataset.shuffle(buffer_size=BATCH_SIZE).batch(BATCH_SIZE).map(decode_item)
    model = build_model()
    steps = _step_counter()
    history = model.fit(dataset, epochs=epochs, verbose=0, callbacks=[steps]).history
    model.save(path)
    return TrainedModel(path, history["loss"], history["accuracy"], steps.count // epochs)


def read_group(reader: str, servers: str, topic: str, group: str) -> tuple[list, list]:
    """Everything that the group dataset gives: values and keys."""
    values, keys = _all_of(group_dataset(reader, servers, topic, group))
    return values.tolist(), keys.tolist()


def evaluate(
    reader: str, servers: str, topic: str, group: str, path: Path, sent: Messages
) -> Evaluation:
    """Evaluate a saved model by group, and on the rows that were sent."""
    import tensorflow as tf

    model = tf.keras.models.load_model(path)
    dataset = group_dataset(reader, servers, topic, group).map(decode).batch(BATCH_SIZE)
    members = set()
    admin = Admin(servers, client_settings())

    def see_members(batch, logs):
        if batch == 0:
            members.update(row.consumer_id for row in admin.describe_group(group))

    steps = _step_counter()
    look = tf.keras.callbacks.LambdaCallback(on_test_batch_end=see_members)
    metrics = model.evaluate(dataset, verbose=0, return_dict=True, callbacks=[steps, look])
    # Committed in the background: waited for, and whatever is there in the end is the fact.
    with contextlib.suppress(TfkafkaError):
        wait_for(
            lambda: {row.lag for row in admin.describe_group(group)} == {0}, "all to be committed"
        )
    described = admin.describe_group(group)
    in_memory = model.evaluate(
        sent.features, sent.labels, batch_size=BATCH_SIZE, verbose=0, return_dict=True
    )
    return Evaluation(metrics, in_memory, steps.count, members, described)


def predict_group(
    reader: str, servers: str, topic: str, group: str, path: Path
) -> np.ndarray | Exception:
    """Probabilities for all records of a group dataset, [records, 1], or what Keras raised."""
    import tensorflow as tf

    model = tf.keras.models.load_model(path)
    dataset = group_dataset(reader, servers, topic, group).map(decode).batch(BATCH_SIZE)
    try:
        return model.predict(dataset, verbose=0)
    except (NameError, TypeError, ValueError) as error:  # Python's own, not TensorFlow's
        return type(error)(str(error))


def train_online(
    reader: str,
    servers: str,
    topic: str,
    group: str,
    path: Path,
    late: Messages | None = None,
    **options: Any,
) -> OnlineTraining:
    """Train a saved model on mini datasets; `late` messages are sent after the first of them."""
    import tensorflow as tf

    _compute_in_one_thread()
    model = tf.keras.models.load_model(path)
    online_train_ds = _streaming(reader).KafkaBatchIODataset(
        topics=[topic],
        group_id=group,
        servers=servers,
        stream_timeout=STREAM_TIMEOUT_MS,
        configuration=[*as_list(), *PATIENT_GROUP_CONFIGURATION],
        **options,
    )
    done = OnlineTraining([], [], [])
    for mini_ds in online_train_ds:
        done.rows.append(len(mini_ds))
        mini_ds = mini_ds.shuffle(buffer_size=32).map(decode).batch(ONLINE_BATCH_SIZE)
        if len(mini_ds) > 0:
            done.steps.append(len(mini_ds))
            done.histories.append(model.fit(mini_ds, epochs=ONLINE_EPOCHS, verbose=0).history)
        if late:
            threading.Timer(LATE_BY_S, write, (servers, topic, late)).start()
            late = None
    model.save(path)
    return done


def partition_dataset(reader: str, servers: str, topic: str, configuration: list[str]):
    tfio = importlib.import_module(reader)
    return tfio.IODataset.from_kafka(
        topic,
        partition=0,
        offset=0,
        servers=servers,
        configuration=[*as_list(), *configuration],
    )


def group_dataset(reader: str, servers: str, topic: str, group: str):
    return _streaming(reader).KafkaGroupIODataset(
        topics=[topic],
        group_id=group,
        servers=servers,
        stream_timeout=STREAM_TIMEOUT_MS,
        configuration=[*as_list(), *GROUP_CONFIGURATION],
    )


def _streaming(reader: str):
    return importlib.import_module(reader).experimental.streaming


def _all_of(dataset) -> list[np.ndarray]:
    """All elements, by column. Python sees them in batches, which takes a third of the time."""
    batches = dataset.batch(BATCH_SIZE).as_numpy_iterator()
    return [np.concatenate(column) for column in zip(*batches, strict=True)]


def decode_item(item):
    return decode(item.message, item.key)


def decode(raw_message, raw_key):
    """The numbers of a record, shape (18,), or of a batch, shape (records, 18), and the labels."""
    import tensorflow as tf

    columns = tf.io.decode_csv(raw_message, [[0.0] for _ in FEATURES])
    return tf.stack(columns, axis=-1), tf.strings.to_number(raw_key)


def _compute_in_one_thread() -> None:
    """Before anything is computed: several threads take a fifth more CPU time for this model."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)


def _step_counter():
    import tensorflow as tf

    class StepCounter(tf.keras.callbacks.Callback):
        """Counts batches, of training and of evaluation."""

        count = 0

        def on_train_batch_end(self, batch, logs=None):
            self.count += 1

        def on_test_batch_end(self, batch, logs=None):
            self.count += 1

    return StepCounter()
