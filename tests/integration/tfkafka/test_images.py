"""A model that is trained on images, whose classes are named in headers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from confluent_kafka import Producer

from tfkafka import Header, ImageDecoder, KafkaDataset

CLASSES = ["dark", "bright"]
RECORDS, BAD = 120, {3: b"\x89PNG\r\n\x1a\nno more", 50: b"", 119: b"GIF89a"}


@pytest.fixture
def images(kafka, topic) -> str:
    """A topic of images that are dark or bright, a few of them damaged or without a class."""
    random, producer = (
        np.random.default_rng(1),
        Producer({"bootstrap.servers": kafka.bootstrap_servers}),
    )
    for number in range(RECORDS):
        label = number % 2
        pixels = random.integers(100 * label, 100 * label + 90, (8, 6, 3)).astype(np.uint8)
        encode = tf.io.encode_jpeg if number % 5 == 0 else tf.io.encode_png
        value = BAD.get(number, encode(pixels).numpy())
        headers = [] if number == 60 else [("class", CLASSES[label].encode())]
        producer.produce(topic, value, headers=headers)
    assert producer.flush(60) == 0
    return topic


def test_a_model_learns_from_images(kafka, images):
    dataset = KafkaDataset(
        images,
        servers=kafka.bootstrap_servers,
        decode=ImageDecoder((8, 6, 3), label=Header("class", classes=CLASSES)),
        batch_size=20,
        on_bad_record="skip",
    )
    assert dataset.element_spec == (
        tf.TensorSpec([None, 8, 6, 3], tf.uint8),
        tf.TensorSpec([None], tf.int64),
    )
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input((8, 6, 3)),
            tf.keras.layers.Rescaling(1 / 255, offset=-0.4),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(2, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(dataset, epochs=10, verbose=0)
    assert dataset.counts.used == RECORDS - len(BAD) - 1
    assert dataset.counts.reasons == {
        "is truncated": 1,
        "is neither PNG nor JPEG": 2,
        "label: has no header 'class'": 1,
    }
    _, accuracy = model.evaluate(dataset, verbose=0)
    assert accuracy == 1
