"""Datasets that are dropped leave memory, with their threads."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest
import tensorflow as tf

from tests.collector import places
from tests.integration.tfkafka.records import numbers, values
from tfkafka import KafkaDataset, KafkaGroupDataset, KafkaMiniBatchDataset
from tfkafka.errors import ReadError, TfkafkaError
from tfkafka.testing import wait_for

DATASETS = 10
EARLIEST = {"auto.offset.reset": "earliest"}


@pytest.mark.parametrize("kind", ["bounded", "batches of it", "group", "mini datasets"])
def test_dropped_datasets_leave_memory(servers, topic, group, kind):
    numbers(servers, topic, 10)
    made = {
        "bounded": lambda number: KafkaDataset(topic, servers=servers),
        "batches of it": lambda number: KafkaDataset(topic, servers=servers).batch(2),
        "group": lambda number: KafkaGroupDataset(topic, f"{group}-{number}", servers, 0, EARLIEST),
        "mini datasets": lambda number: KafkaMiniBatchDataset(
            topic, f"{group}-{number}", servers, 0, EARLIEST
        ),
    }[kind]

    def use(number: int) -> list[weakref.ref]:
        dataset = made(number)
        if kind == "mini datasets":
            assert sum(len(mini) for mini in dataset) == 10
        else:
            assert len(values(dataset)) == (5 if kind == "batches of it" else 10)
            # An iteration that is given up; a group has no record left.
            next(iter(dataset), None)
        return [weakref.ref(dataset), *map(weakref.ref, dataset._sources)]

    leaves_memory(use)


@pytest.mark.parametrize("kind", [KafkaGroupDataset, KafkaMiniBatchDataset])
def test_failed_datasets_leave_memory(servers, group, kind):
    """Also where the caller raises `error`, whose traceback leads to the loop and its iterator."""

    def use(number: int) -> list[weakref.ref]:
        dataset = kind("no-such-topic", f"{group}-{number}", servers)

        def loop() -> None:
            try:
                for _ in dataset:
                    pass
            except tf.errors.OpError:
                raise dataset.error from None

        with pytest.raises(ReadError, match="no-such-topic"):
            loop()
        return [weakref.ref(dataset), *map(weakref.ref, dataset._sources)]

    leaves_memory(use)


def leaves_memory(use: Callable[[int], list[weakref.ref]]) -> None:
    """Check that what `use` made, with its threads, is gone after it."""

    left: list[str] = []

    def is_all_gone() -> bool:
        gc.collect()
        threads = {each.name for each in threading.enumerate() if each not in before}
        left[:] = [repr(each()) for each in there if each() is not None]
        left.extend(name for name in threads if name.startswith("tfkafka-"))
        return not left

    use(0)  # the first one starts the thread that notices signals
    before = {*threading.enumerate()}
    there = [reference for number in range(DATASETS) for reference in use(1 + number)]
    try:
        wait_for(is_all_gone, "datasets and threads to be gone", 60)
    except TfkafkaError as error:
        pytest.fail(f"{error}: {', '.join(left)}; the threads are at:\n{places()}")
