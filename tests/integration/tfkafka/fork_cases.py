"""What forked children do with what is their parent's; run by test_fork.py in a fresh process."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import keras
import tensorflow as tf

import tfkafka.tfio as tfio
from tests.integration.tfkafka.records import values
from tfkafka import Admin, CsvDecoder, KafkaDataset, KafkaGroupDataset, KafkaMiniBatchDataset, write
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.online import Stream, learn

# Longer than any refusal or work takes on a busy machine; a case that hangs is found after it.
DEADLINE_S = 20.0
ROWS = [f"{number},1" for number in range(500)]


class Outcome(NamedTuple):
    """What a child returned, or the class and text of its exception, or how it ended."""

    value: Any
    error: str
    seconds: float


def in_child(function: Callable[..., Any], *args: Any) -> Outcome:
    """Fork, as `multiprocessing` does by default on Linux up to Python 3.13, and call."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    began = time.monotonic()
    child = fork.Process(target=_answer, args=(there, function, args))
    child.start()
    there.close()
    try:
        if not here.poll(DEADLINE_S):
            return Outcome(None, f"hangs after {DEADLINE_S:g} s", time.monotonic() - began)
        value, error = here.recv()
        return Outcome(value, error, time.monotonic() - began)
    except EOFError:
        child.join(DEADLINE_S)
        return Outcome(None, f"ended with {child.exitcode}", time.monotonic() - began)
    finally:
        child.kill()
        child.join()


def _answer(there: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        answer = (function(*args), "")
    except Exception as error:
        answer = (None, f"{type(error).__name__}: {error}")
    there.send(answer)


def before_polars_is_used(servers: str, topic: str) -> dict[str, Outcome]:
    """A parent that has made clients and datasets, and parsed nothing."""
    admin = Admin(servers)
    write(servers, topic, ROWS)
    raw = KafkaDataset(topic, servers=servers)
    decoded = KafkaDataset(topic, servers=servers, decode=CsvDecoder(2))
    values(raw)
    return {
        "admin": in_child(admin.topics),
        "write": in_child(write, servers, topic, ["1,2"]),
        "raw": in_child(lambda: len(values(raw))),
        "decoded": in_child(lambda: len(list(decoded))),
        "decoded, made in the child": in_child(
            lambda: len(list(KafkaDataset(topic, servers=servers, decode=CsvDecoder(2), stop=500)))
        ),
        "two children at the same time": in_child(
            lambda: in_child(lambda: len(values(raw))).value == len(values(raw))
        ),
    }


def after_all_was_used(
    servers: str, topic: str, predictions: str, group: str
) -> dict[str, Outcome]:
    """A parent that has used everything, and is in the middle of iterations."""
    write(servers, topic, ROWS, ["1"] * len(ROWS))
    earliest = {"auto.offset.reset": "earliest"}
    admin = Admin(servers)
    raw = KafkaDataset(topic, servers=servers, batch_size=10)
    decoded = KafkaDataset(topic, servers=servers, decode=CsvDecoder(2))
    list(decoded)
    bounded = iter(raw)
    next(bounded)
    stream = KafkaGroupDataset(topic, group, servers, -1, earliest, auto_commit=False)
    streaming = iter(stream)
    next(streaming)
    mini = KafkaMiniBatchDataset(topic, f"{group}-mini", servers, -1, earliest, records=10)
    minis = iter(mini)
    next(minis)
    job = InferenceJob(_first, CsvDecoder(2), [topic], predictions, f"{group}-eo")
    worker = ExactlyOnceInference(job, servers)
    worker.run()
    online = Stream(topic, CsvDecoder(2, label="key"), servers, mini_dataset=100, stream_timeout=0)
    tfio.kafka.write_kafka("1,1", f"{topic}:0", servers)
    return {
        "admin": in_child(admin.topics),
        "write": in_child(write, servers, topic, ["1,2"]),
        "write_kafka": in_child(
            lambda: tfio.kafka.write_kafka("1,1", f"{topic}:0", servers).numpy()
        ),
        "raw": in_child(lambda: len(list(raw))),
        "raw, made in the child": in_child(
            lambda: len(list(KafkaDataset(topic, servers=servers, stop=500, batch_size=10)))
        ),
        "decoded": in_child(lambda: len(list(decoded))),
        "decoded, made in the child": in_child(
            lambda: len(list(KafkaDataset(topic, servers=servers, decode=CsvDecoder(2))))
        ),
        "group, made in the child": in_child(
            lambda: len(list(KafkaGroupDataset(topic, f"{group}-2", servers, 0, earliest)))
        ),
        "the parent's iteration": in_child(_drain, bounded),
        "the parent's stream": in_child(_drain, streaming),
        "the parent's mini datasets": in_child(_drain, minis),
        "commit": in_child(stream.commit, 1),
        "close": in_child(stream.close),
        "worker": in_child(worker.run),
        "learn": in_child(lambda: learn(tempfile.mkdtemp(), online, _model, _train, seed=1)),
        # The parent is not disturbed by any of that.
        "parent": Outcome((len(list(raw)) >= 50, admin.has_members(group)), "", 0.0),
        "parent's commit": Outcome(stream.commit(1), "", 0.0),
    }


def read_values(servers: str, topic: str) -> list[bytes]:
    return values(KafkaDataset(topic, servers=servers))


def _drain(iterator: Any) -> int:
    return sum(1 for _ in iterator)


def _first(rows: Any) -> Any:
    return rows[:, 0]


def _model() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def _train(model: keras.Model, x: tf.Tensor, y: tf.Tensor) -> None:
    model.fit(x, y, verbose=0)
