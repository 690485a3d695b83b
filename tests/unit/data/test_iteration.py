"""Iterators that the garbage collector frees, in whatever thread it happens to run."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import tensorflow as tf

from tests.collector import places
from tfkafka.data.iteration import audible
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for


class Source:
    """A stream that nobody has to commit or to end."""

    def begin(self, is_held: bool) -> None:
        pass


def test_its_own_prefetching_thread_may_collect_an_iterator():
    """TensorFlow would wait there for that thread: forever, and nobody could collect any more."""
    is_dropped, is_closed = threading.Event(), threading.Event()
    collected: list[str] = []
    references: list[weakref.ref] = []

    def elements():
        try:
            yield 0
            assert is_dropped.wait(30)
            wait_for(lambda: gc.collect() >= 0 and references[0]() is None, "it to be freed", 20)
            collected.append(threading.current_thread().name)
            while True:
                yield 1
        finally:
            is_closed.set()

    gc.disable()
    try:
        dataset = tf.data.Dataset.from_generator(
            elements, output_signature=tf.TensorSpec((), tf.int64)
        )
        iterator = iter(audible(dataset.prefetch(1), [Source()]))
        assert int(next(iterator)) == 0
        iterator.itself = iterator
        references.append(weakref.ref(iterator))
        del iterator
        is_dropped.set()
        wait_for(is_closed.is_set, "the generator to be closed", 20)
    except TfkafkaError as error:
        pytest.fail(f"{error}; the threads are at:\n{places()}")
    finally:
        gc.enable()
    assert collected and collected != ["MainThread"]
