"""Python loops over datasets, in which the handlers of signals run at once.

Python's main thread cannot run them while TensorFlow's C++ waits for an element. So another thread
calls C++, and the main thread waits for that thread, in Python.
"""

from __future__ import annotations

import functools
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import tensorflow as tf

from tfkafka._util import interrupts
from tfkafka._util.disposal import destroy_with
from tfkafka._util.processes import Owner, keep_in_children

# How often the main thread looks whether a signal has to end a stream that Keras reads.
LOOK_S = 0.2
# How long an exception of a handler waits for the stream to end.
END_S = 0.5


class Source(Protocol):
    """A stream that a dataset is built on."""

    def end(self, reason: str) -> None:
        """End the iterations that are under way, as silence would."""

    def leave(self) -> None:
        """End the iterations that are under way: an exception has ended the loop over one."""

    def records_of_only_iteration(self) -> Callable[[], int] | None:
        """Return what counts the records that TensorFlow has of the iteration that is under way.

        None where that is not exactly one.
        """

    def begin(self, is_held: bool) -> None:
        """Note that an iteration begins; where `is_held`, commit none of it before `release`."""

    def release(self) -> None:
        """Commit from now on what was delivered, and what is delivered later."""


class Audible(tf.data.Dataset[Any]):  # type: ignore[misc]  # TensorFlow has no types
    """A dataset whose Python loops hear signals, as do those of all datasets made of it.

    Datasets that TensorFlow makes of several, such as `tf.data.Dataset.zip`, are its own.
    """

    _sources: Sequence[Source]
    # How many records each element takes from the only source, where that is known.
    _records_each: int | None = None

    def __iter__(self) -> Iterator[Any]:
        return self._loop(lambda: None)

    def _loop(self, taken: Callable[[], None]) -> Iterator[Any]:
        """Return an iterator that calls `taken` after each element that a Python loop takes.

        Not where that loop is Keras' own.
        """
        iterator = super().__iter__()
        if not tf.executing_eagerly():
            return iterator  # type: ignore[no-any-return]
        interrupts.listen(iterator)
        # Destroying it would wait for TensorFlow's threads.
        keep_in_children(iterator)
        kind: Any = type(iterator)
        iterator._waiting = _Waiting(self._sources, self._records_each, taken)
        specs = tf.nest.flatten(self.element_spec)
        iterator._has_only_tensors = all(type(spec) is tf.TensorSpec for spec in specs)
        # It remains a TensorFlow iterator, which a `tf.function` accepts as an argument; Keras'
        # training loop needs that. Elements that a graph takes do not come by here.
        iterator.__class__ = _audible_iterator(kind)
        weakref.finalize(iterator, iterator._waiting.end_of_calls()).atexit = False
        destroy_with(iterator, iterator._iterator_resource)
        return iterator  # type: ignore[no-any-return]


def audible(dataset: tf.data.Dataset[Any], sources: Sequence[Source]) -> tf.data.Dataset[Any]:
    """Return the same dataset, which also keeps its sources alive."""
    if not isinstance(dataset, Audible):
        kind: Any = type(dataset)
        dataset.__class__ = _audible_dataset(kind)
    dataset._sources = sources
    return dataset


@functools.cache
def _audible_dataset(kind: Any) -> type:
    return type(kind.__name__, (Audible, kind), {"__module__": kind.__module__})


@functools.cache
def _audible_iterator(kind: Any) -> type:
    def take_next(self: Any) -> Any:
        return self._waiting.take(functools.partial(kind.__next__, self))

    def next_internal(self: Any) -> Any:
        is_async = not tf.config.experimental.get_synchronous_execution()
        if not self._has_only_tensors or not tf.executing_eagerly() or is_async:
            return kind._next_internal(self)
        # TensorFlow's own compares every tensor's shape with its spec again, in Python: of 18 named
        # inputs that takes longer than reading them (seen with TensorFlow 2.16).
        tensors = tf.raw_ops.IteratorGetNext(
            iterator=self._iterator_resource,
            output_types=self._flat_output_types,
            output_shapes=self._flat_output_shapes,
        )
        return tf.nest.pack_sequence_as(self._element_spec, tensors)

    members = {"__next__": take_next, "_next_internal": next_internal}
    return type(kind.__name__, (kind,), members | {"__module__": kind.__module__})


def _transformation(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def transform(self: Audible, *args: Any, **kwargs: Any) -> Any:
        result = function(self, *args, **kwargs)
        if result is self or not isinstance(result, tf.data.Dataset):
            return result
        others = [each for each in (*args, *kwargs.values()) if isinstance(each, Audible)]
        return audible(result, [s for each in (self, *others) for s in each._sources])

    return transform


for _name, _function in vars(tf.data.Dataset).items():
    if callable(_function) and not _name.startswith("_") and not isinstance(_function, type):
        setattr(Audible, _name, _transformation(_function))


class _Waiting:
    """How a Python loop waits for the elements of one iterator."""

    def __init__(self, sources: Sequence[Source], each: int | None, taken: Callable[[], None]):
        self._sources, self._each, self._note = sources, each, taken
        self._taken = 0
        self._records: Callable[[], int] | None = None
        self._is_in_keras = _is_called_by_keras()
        # Where its loop is Python, Keras takes a first element to build the model, and then begins
        # to iterate again (seen with Keras 3.15).
        self._may_be_a_look = self._is_in_keras and _keras_loops_in_python()
        for source in sources:
            source.begin(is_held=self._may_be_a_look)
        self._owner = Owner()
        self._calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answer = _Answer()
        self._is_calling = False
        self._has_thread = False

    def take(self, next_element: Callable[[], Any]) -> Any:
        self._owner.refuse_child("an iteration", "begin to iterate again in this process")
        if self._may_be_a_look and self._taken:
            self._may_be_a_look = False
            for source in self._sources:
                source.release()
        if threading.current_thread() is not threading.main_thread() or self._is_ready():
            element = next_element()
        else:
            element = self._wait(next_element)
        self._taken += 1
        if not self._is_in_keras:
            # Keras takes elements ahead of their use.
            self._note()
        return element

    def end_of_calls(self) -> Callable[[], None]:
        """Return what ends the thread, and refers to nothing but its queue.

        The source's error leads to the iterator: a finalizer that knew the source would keep both.
        """
        return functools.partial(self._calls.put, None)

    def _is_ready(self) -> bool:
        """Return whether TensorFlow surely has the next element: then C++ will not wait."""
        if self._each is None:
            return False
        if self._records is None and self._taken:
            self._records = self._sources[0].records_of_only_iteration()
        return self._records is not None and self._records() >= (self._taken + 1) * self._each

    def _wait(self, next_element: Callable[[], Any]) -> Any:
        if not self._is_calling:
            self._call(next_element)
        before = interrupts.count()
        try:
            # Handlers of signals run while this waits.
            while not self._answer.wait(LOOK_S):
                if self._is_in_keras and interrupts.count() > before:
                    for source in self._sources:
                        source.end("a signal")
        except BaseException:
            for source in self._sources:
                source.leave()
            # So that a group has been left when the caller goes on.
            self._is_calling = not self._answer.wait(END_S)
            raise
        self._is_calling = False
        return self._answer.take()

    def _call(self, function: Callable[[], Any]) -> None:
        if not self._has_thread:
            self._has_thread = True
            target, arguments = _serve, (self._calls, self._answer)
            threading.Thread(
                target=target, args=arguments, name="tfkafka-next", daemon=True
            ).start()
        self._is_calling = True
        self._answer.expect()
        self._calls.put(function)


class _Answer:
    """What a call in another thread returned or raised, one call at a time."""

    def __init__(self) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        # Not a queue: in Python 3.11 `SimpleQueue.get` waits forever where a signal arrives just
        # before its time-out.
        self._is_there = threading.Event()

    def expect(self) -> None:
        self._is_there.clear()

    def give(self, call: Callable[[], Any]) -> None:
        try:
            self._value, self._error = call(), None
        except BaseException as error:
            self._value, self._error = None, error
        self._is_there.set()

    def wait(self, timeout_s: float) -> bool:
        """Return whether the answer came in time; then call `take`."""
        return self._is_there.wait(timeout_s)

    def take(self) -> Any:
        value, error = self._value, self._error
        self._value = self._error = None
        if error is not None:
            raise error
        return value


def _serve(calls: queue.SimpleQueue[Callable[[], Any] | None], answer: _Answer) -> None:
    # It knows the iterator only while it calls: else none would ever be destroyed.
    while (call := calls.get()) is not None:
        answer.give(call)
        del call


def _is_called_by_keras() -> bool:
    """Return whether `fit` or its like makes this iterator: it does not ask users' loops."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").split(".")[0] in ("keras", "tf_keras"):
            return True
    return False


def _keras_loops_in_python() -> bool:
    """Return whether Keras takes elements one by one: with TensorFlow its loop is a graph."""
    import keras

    return bool(keras.backend.backend() != "tensorflow")
