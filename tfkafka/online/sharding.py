"""Mini datasets in shards: the same global batches, whatever the number of processes is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk, OffsetRange
from tfkafka.decoding.base import Arrays, map_arrays
from tfkafka.reading import jax_processes
from tfkafka.reading.padding import padded
from tfkafka.reading.sharding import Shard, shard_of

BATCH_SIZE = 32


@dataclass(frozen=True)
class Sharding:
    """How mini datasets are divided.

    Attributes:
        shards: the number of equal parts of each mini dataset.
        index, count: the number of this process, and that of all: each has `shards / count` shards.
        batch_size: the rows of each shard in a step.
    """

    shards: int
    index: int
    count: int
    batch_size: int

    @property
    def own(self) -> range:
        """The numbers of the shards of this process."""
        each = self.shards // self.count
        return range(self.index * each, (self.index + 1) * each)

    def refuse_others(self) -> None:
        """Raise ValueError where Keras does not use JAX, or JAX numbers the processes otherwise."""
        if (backend := keras.backend.backend()) != "jax":
            raise ValueError(
                f"shards is {self.shards}, and Keras computes with {backend}: only JAX trains in "
                f"several processes: set the environment variable KERAS_BACKEND=jax"
            )
        found, process = jax_processes.own_process("Keras uses it"), (self.index, self.count)
        if found != process:
            raise ValueError(
                f"process is {process}, and JAX says {found}: call jax.distributed.initialize with "
                f"the same numbers, before learn and before any other use of JAX"
            )

    def distribution(self) -> AbstractContextManager[None]:
        """Return the scope in which Keras spreads batches over all devices of all processes."""
        devices = jax_processes.device_count()
        if self.shards * self.batch_size % devices:
            raise ValueError(
                f"batch_size is {self.batch_size}: {self.shards} shards of it cannot be divided "
                f"among {devices} devices: give a multiple of {devices}"
            )
        scope: AbstractContextManager[None] = keras.distribution.DataParallel(
            auto_shard_dataset=False
        ).scope()
        return scope

    def rows(self, records: Chunk, plan: Sequence[OffsetRange]) -> list[int]:
        """Return how many records, which are in the order of the plan, are of each own shard."""
        partitions, offsets = records.partitions, records.offsets
        return [
            sum(
                int(((partitions == r.partition) & (offsets >= r.start) & (offsets < r.stop)).sum())
                for r in shard_of(plan, shard, self.shards)
            )
            for shard in self.own
        ]

    def batches(
        self,
        arrays: tuple[Arrays, ...],
        rows: Sequence[int],
        steps: int,
        seed: Sequence[int],
    ) -> tf.data.Dataset[Any]:
        """Return the steps of the own shards: the rows of one follow those of the one before.

        Args:
            arrays: the rows, shard by shard.
            rows: their number in each own shard.
            steps: the number of steps of the largest of all shards.
            seed: decides on the order of the rows of each shard.
        """
        begin, found = 0, []
        for shard, count in zip(self.own, rows, strict=True):
            order = begin + np.random.default_rng([*seed, shard]).permutation(count)
            found.append(self._batches(map_arrays(_taker(order), arrays), steps))
            begin += count
        return tf.data.Dataset.zip(tuple(found)).map(_joined)

    def _batches(self, arrays: tuple[Arrays, ...], steps: int) -> tf.data.Dataset[Any]:
        rows = tf.data.Dataset.from_tensor_slices(arrays)
        return padded(rows.batch(self.batch_size), self.batch_size, steps)


def checked_sharding(
    shards: int | None, process: Shard | None, batch_size: int | None
) -> Sharding | None:
    """Return what these arguments of `learn` stand for.

    Raises TypeError, ValueError where one is wrong, or does not fit the others.
    """
    if shards is None:
        for name, value in (("process", process), ("batch_size", batch_size)):
            if value is not None:
                raise ValueError(f"{name} is {arguments.shown(value)}: give shards, too")
        return None
    shards = arguments.whole_number("shards", shards, 1)
    rows = arguments.optional(arguments.whole_number, "batch_size", batch_size, 1) or BATCH_SIZE
    index, count = jax_processes.own_shard(process, "process") or (0, 1)
    if shards % count:
        raise ValueError(
            f"shards is {shards}, and there are {count} processes: give a multiple of {count}"
        )
    return Sharding(shards, index, count, rows)


def refuse_different(terms: Sequence[Mapping[str, object]]) -> None:
    """Raise ValueError where processes, whose arguments of `learn` these are, differ."""
    for number, other in enumerate(terms):
        for name, value in terms[0].items():
            if other[name] != value:
                raise ValueError(
                    f"{name} is {value} in process 0 and {other[name]} in process {number}: start "
                    f"all of them with the same command"
                )


def refuse_arrays(name: str, function: Callable[..., object] | None) -> None:
    """Raise TypeError where an argument of `learn` cannot be called with the model and batches."""
    if function is None:
        return
    try:
        signature = inspect.signature(function)
    except ValueError:  # one that is not of Python
        return
    try:
        signature.bind(None, None)
    except TypeError:
        raise TypeError(
            f"{name} takes {signature}, and with shards it is called with (model, batches)"
        ) from None


def distribution(sharding: Sharding | None) -> AbstractContextManager[None]:
    """Return the scope in which Keras makes a model and trains it."""
    return nullcontext() if sharding is None else sharding.distribution()


def _taker(order: NDArray[np.int64]) -> Any:
    return lambda array: array[order]


def _joined(*batches: Any) -> Any:
    return tf.nest.map_structure(lambda *each: tf.concat(each, 0), *batches)
