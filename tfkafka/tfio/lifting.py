"""Maps of single records, done for whole batches where the result is the same to the bit.

TensorFlow spends more time on a call of a user's function than most functions take. So
`records.map(f).batch(n)` becomes `records.batch(n).map(F)`, where F does for a whole batch what f
does for one record: `batched_graph.py` rebuilds it from f's graph. Everything else stays as it is.

F is called by one thread, whatever f's `num_parallel_calls` was: a parallel map would read ahead,
and so never end where `take` wants no more of a silent stream.

Bad records do the same as before. TensorFlow itself does `map` and `batch` in one step: a batch
with a bad record raises, and iteration can continue after that batch. Where it does them in two
steps, a batch begins again after the bad record instead; so maps that can fail stay where they are
if anything else stands between the two, or if TensorFlow is set to do no such step.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfkafka.tfio.batched_graph import RecordFunction, has_op_determinism, on_batch, on_record
from tfkafka.tfio.operations import CannotLift

# "0" switches lifting off.
VARIABLE = "TFKAFKA_LIFT"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Maps:
    """The maps at the end of a pipeline.

    Attributes:
        records: the dataset before them.
        functions: what they do, one after another.
    """

    records: tf.data.Dataset[Any]
    functions: tuple[RecordFunction, ...] = ()

    def __str__(self) -> str:
        return ", then ".join(function.name for function in self.functions)

    @property
    def can_fail(self) -> bool:
        """Whether a record can make them raise, as far as is known."""
        return any(function.can_fail for function in self.functions)

    def batches(self, batch_size: Any, drop_remainder: Any) -> tf.data.Dataset[Any]:
        """Return `batch` of the records, and then the maps, or raise CannotLift."""
        function = self._function(on_batch)
        if self.can_fail:
            refuse_two_steps(self.records.options())
        if drop_remainder is False or not self.can_fail:
            return self.records.batch(batch_size, drop_remainder).map(function)
        # A bad record in the remainder raises.
        return self.records.batch(batch_size).map(function).rebatch(batch_size, drop_remainder)

    def after(self, name: str, *args: Any, **kwargs: Any) -> tf.data.Dataset[Any]:
        """Return the method `name` of the records, and then the maps, or raise CannotLift."""
        if self.can_fail:
            raise CannotLift(f"a record can make it fail, and {name} comes before batch")
        function = self._function(on_record)
        # Seen before anything is made that takes a seed.
        self.records.map(function)
        return getattr(self.records, name)(*args, **kwargs).map(function)

    def _function(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        if not tf.executing_eagerly():
            raise CannotLift("it is made in a graph")
        functions = self.functions

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def on_columns(*columns: Any) -> Any:
            return apply(functions, tf.nest.flatten(columns))

        on_columns.__name__ = str(self)
        return on_columns  # type: ignore[no-any-return]


def refuse_two_steps(options: tf.data.Options) -> None:
    """Raise CannotLift where TensorFlow does not do `map` and `batch` in one step.

    Of pipelines that begin with a Python function, as all of Kafka do, op determinism divides that
    step (seen with TensorFlow 2.16 and 2.21).
    """
    optimization = options.experimental_optimization
    is_wanted = optimization.map_and_batch_fusion
    if is_wanted is None:
        is_wanted = optimization.apply_default_optimizations is not False
    if not is_wanted:
        raise CannotLift("a record can make it fail, and options do map and batch in two steps")
    if has_op_determinism():
        raise CannotLift("a record can make it fail, and op determinism is enabled")


class Liftable(tf.data.Dataset[Any]):  # type: ignore[misc]  # TensorFlow has no types
    """Single records, or maps of them; `batch` does the maps for whole batches where it can."""

    _maps: Maps | None = None

    def map(self, map_func: Callable[..., Any], *args: Any, **kwargs: Any) -> tf.data.Dataset[Any]:
        mapped = super().map(map_func, *args, **kwargs)
        if os.environ.get(VARIABLE) == "0":
            return mapped
        maps = self._maps or Maps(self)
        name = getattr(map_func, "__name__", type(map_func).__name__)
        function = RecordFunction.of(name, mapped, self.element_spec)
        return liftable(mapped, Maps(maps.records, (*maps.functions, function)))

    def batch(
        self,
        batch_size: Any,
        drop_remainder: Any = False,
        num_parallel_calls: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> tf.data.Dataset[Any]:
        batches = super().batch(batch_size, drop_remainder, num_parallel_calls, *args, **kwargs)
        if self._maps is None:
            return batches
        try:
            if num_parallel_calls is not None:
                raise CannotLift("batch has num_parallel_calls, which changes where batches begin")
            lifted = self._maps.batches(batch_size, drop_remainder)
            if lifted.element_spec != batches.element_spec:
                raise CannotLift(f"its elements would have {lifted.element_spec}")
            if lifted.cardinality() != batches.cardinality():
                raise CannotLift("its number of elements would not be known")
        except CannotLift as reason:
            _log.debug("%s is done record by record: %s", self._maps, reason)
            return batches
        _log.debug("%s is done batch by batch", self._maps)
        return lifted


def liftable(dataset: tf.data.Dataset[Any], maps: Maps | None = None) -> tf.data.Dataset[Any]:
    """Return the same dataset, of single records, whose maps may be done for whole batches."""
    if not isinstance(dataset, Liftable):
        kind: Any = type(dataset)
        dataset.__class__ = _liftable_kind(kind)
    dataset._maps = maps
    return dataset


@functools.cache
def _liftable_kind(kind: Any) -> type:
    return type(kind.__name__, (Liftable, kind), {"__module__": kind.__module__})


def _moving(name: str) -> Callable[..., tf.data.Dataset[Any]]:
    """Return the method `name`, of what does the same before a map as after it."""

    @functools.wraps(getattr(tf.data.Dataset, name))
    def transform(self: Liftable, *args: Any, **kwargs: Any) -> tf.data.Dataset[Any]:
        own: Callable[..., tf.data.Dataset[Any]] = getattr(super(Liftable, self), name)
        if self._maps is None:
            return liftable(own(*args, **kwargs))
        try:
            return self._maps.after(name, *args, **kwargs)
        except CannotLift as reason:
            _log.debug("%s is done record by record: %s", self._maps, reason)
            return own(*args, **kwargs)

    return transform


for _name in ("shuffle", "take", "skip", "repeat", "prefetch", "shard", "with_options"):
    setattr(Liftable, _name, _moving(_name))
