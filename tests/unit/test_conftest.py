"""What the fixtures of all tests keep away from a test."""

from __future__ import annotations

import logging

import tensorflow as tf


def test_what_other_libraries_log_is_not_heard(caplog):
    for _ in range(5):
        tf.function(lambda: tf.constant(1))()  # TensorFlow warns of the fifth
    logging.getLogger("tfkafka.data").warning("ours")
    assert caplog.messages == ["ours"]
