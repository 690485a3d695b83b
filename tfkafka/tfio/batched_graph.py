"""A function of one record, rebuilt from its graph as a function of a whole batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfkafka.tfio.operations import (
    CONSTANT_OPERATIONS,
    OPERATIONS,
    SHAPE_OPERATIONS,
    CannotLift,
    Value,
    copied,
    every_row,
    refuse_dtypes,
    rounded,
    shape_of_one,
)

CALLS = ("PartitionedCall", "StatefulPartitionedCall")


@dataclass(frozen=True)
class RecordFunction:
    """What a user's `map` does with one record, as TensorFlow traced it.

    Attributes:
        name: of the user's function.
        traced: its `tf.function`; None where TensorFlow has none in the place that is known.
        takes: the element spec before it.
        returns: the element spec after it.
    """

    name: str
    traced: Any
    takes: Any
    returns: Any

    @classmethod
    def of(cls, name: str, mapped: tf.data.Dataset[Any], takes: Any) -> RecordFunction:
        """Return the function of the dataset that `map` returned."""
        traced = getattr(getattr(mapped, "_map_func", None), "function", None)
        return cls(name, traced, takes, mapped.element_spec)

    def __call__(self, columns: Sequence[Value]) -> list[Value]:
        """Return the results for a whole batch, or for one record where no column is batched.

        Raises CannotLift where the graph does not show that they are the same to the bit.
        """
        graph = _private(self.traced, "graph")
        for spec in tf.nest.flatten((self.takes, self.returns)):
            if type(spec) is not tf.TensorSpec or not spec.shape.is_fully_defined():
                raise CannotLift(f"an element has {spec}, which has no fixed shape")
        refuse_effects(graph)
        if _private(graph, "deferred_external_captures"):
            raise CannotLift("it uses values that are only known when it is called")
        captured = [
            Value(tf.identity(each), False, constant=tf.get_static_value(each))
            for each in _captured(self.traced)
        ]
        return Rebuilding(graph, [*columns, *captured]).outputs()

    @property
    def can_fail(self) -> bool:
        """Whether a record can make it raise, as far as is known."""
        return can_fail(_private(self.traced, "graph"))


def _private(owner: Any, name: str) -> Any:
    """Return an attribute that TensorFlow does not promise to have."""
    found = getattr(owner, name, None)
    if found is None:
        raise CannotLift(f"TensorFlow {tf.__version__} has no {type(owner).__name__}.{name}")
    return found


def has_op_determinism() -> bool:
    """Return whether TensorFlow's op determinism is enabled, or raise CannotLift."""
    try:
        # No public name says so.
        from tensorflow.python.framework.config import is_op_determinism_enabled
    except ImportError as error:
        raise CannotLift(f"TensorFlow {tf.__version__} has no is_op_determinism_enabled") from error
    return bool(is_op_determinism_enabled())


def _captured(function: Any) -> list[tf.Tensor]:
    captured = list(function.captured_inputs)
    for tensor in captured:
        if tensor.dtype in (tf.resource, tf.variant):
            raise CannotLift("it uses a variable, a table or a dataset")
    return captured


def refuse_effects(graph: Any) -> None:
    """Raise CannotLift where a graph has a state or an effect, used for the result or not."""
    for op in graph.get_operations():
        if op.type in CALLS:
            refuse_effects(_callee(op))
        elif op.op_def.is_stateful and op.type != "Placeholder":
            raise CannotLift(f"{op.type} has a state or an effect")


def can_fail(graph: Any) -> bool:
    """Return whether a record can make a graph raise, as far as is known."""
    for op in graph.get_operations():
        if op.type in CALLS:
            fails = can_fail(_callee(op))
        elif op.type in OPERATIONS:
            fails = OPERATIONS[op.type].can_fail
        else:
            fails = op.type not in CONSTANT_OPERATIONS | SHAPE_OPERATIONS | {"Placeholder"}
        if fails:
            return True
    return False


def _callee(op: tf.Operation) -> Any:
    """Return the graph that an operation calls."""
    find = _private(op.graph, "_get_function")
    return _private(find(op.get_attr("f").name), "graph")


class Rebuilding:
    """The rebuilding of one graph, for values in the place of its inputs."""

    def __init__(self, graph: Any, inputs: Sequence[Value]):
        self._graph = graph
        self._values = {id(inner): value for inner, value in zip(graph.inputs, inputs, strict=True)}

    def outputs(self) -> list[Value]:
        for op in self._needed():
            for output, value in zip(op.outputs, self._results(op), strict=True):
                self._values[id(output)] = value
        return [self._values[id(output)] for output in self._graph.outputs]

    def _needed(self) -> Iterator[tf.Operation]:
        """Yield the operations that the results need, each after those that it needs itself."""
        needed, left = set(), [output.op for output in self._graph.outputs]
        while left:
            op = left.pop()
            if op not in needed:
                needed.add(op)
                left += [each.op for each in op.inputs]
        for op in self._graph.get_operations():
            if op in needed and op.type != "Placeholder":
                yield op

    def _results(self, op: tf.Operation) -> list[Value]:
        inputs = [self._values[id(each)] for each in op.inputs]
        if op.control_inputs:
            raise CannotLift(f"{op.type} waits for another operation")
        if op.type in CALLS:
            return Rebuilding(_callee(op), inputs).outputs()
        refuse_dtypes(op)
        if op.type in SHAPE_OPERATIONS:
            return [Value(each, False) for each in shape_of_one(op)]
        return _rebuilt(op, inputs)


def _rebuilt(op: tf.Operation, inputs: Sequence[Value]) -> list[Value]:
    is_batched = any(value.is_batched for value in inputs)
    tensors = [value.tensor for value in inputs]
    if not is_batched and op.type in CONSTANT_OPERATIONS:
        made = copied(op, tensors)
        return [Value(each, False, constant=tf.get_static_value(each)) for each in made]
    if op.type not in OPERATIONS:
        raise CannotLift(f"{op.type} is not known to do with many what it does with one")
    arithmetic = rounded(op, inputs)
    if not is_batched:
        return [Value(each, False, arithmetic) for each in copied(op, tensors)]
    for output in op.outputs:
        if not output.shape.is_fully_defined():
            raise CannotLift(f"{op.type} has a result of no fixed shape")
    return [Value(each, True, arithmetic) for each in OPERATIONS[op.type].rebuild(op, inputs)]


def on_batch(functions: Sequence[RecordFunction], columns: Sequence[tf.Tensor]) -> Any:
    """Return what functions of one record, one after another, return for a whole batch."""
    values = _composed(functions, [Value(column, True) for column in columns])
    rows = columns[0]
    results = []
    for value, spec in zip(values, tf.nest.flatten(functions[-1].returns), strict=True):
        tensor = value.tensor if value.is_batched else every_row(value.tensor, rows)
        tensor.set_shape([rows.shape[0], *spec.shape])
        results.append(tensor)
    return tf.nest.pack_sequence_as(functions[-1].returns, results)


def on_record(functions: Sequence[RecordFunction], columns: Sequence[tf.Tensor]) -> Any:
    """Return what functions of one record, one after another, return for one record."""
    values = _composed(functions, [Value(column, False) for column in columns])
    results = [value.tensor for value in values]
    return tf.nest.pack_sequence_as(functions[-1].returns, results)


def _composed(functions: Sequence[RecordFunction], values: list[Value]) -> list[Value]:
    for function in functions:
        values = function(values)
    return values
