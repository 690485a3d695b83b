"""TensorFlow operations that do with a whole batch, to the bit, what they do with one record.

An operation is listed here if each entry of its result comes from the same entries of its inputs by
the same arithmetic, however many there are. Functions such as `exp`, sums and matrix products are
not: a kernel may round otherwise for many entries than for one. `Sign` is not either: of a denormal
number it has another result for many entries (seen with TensorFlow 2.16 and 2.21).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf


class CannotLift(Exception):
    """Why a function of one record cannot be applied to a whole batch."""


@dataclass(frozen=True)
class Value:
    """A tensor of the function for a whole batch.

    Attributes:
        tensor: what stands in the place of the tensor of one record.
        is_batched: whether it has the batch's axis, as its first one; else it is the same for all
            records.
        rounded: the kinds of arithmetic, ADDS and MULTIPLIES, that it is a result of.
        constant: what it is, as a NumPy array, where that is known.
    """

    tensor: tf.Tensor
    is_batched: bool
    rounded: frozenset[str] = frozenset()
    constant: Any = None


Rebuild = Callable[[tf.Operation, Sequence[Value]], list[tf.Tensor]]
ADDS, MULTIPLIES = "adds", "multiplies"
_FLOATS = {tf.float32, tf.float64}
_DTYPES = {
    *_FLOATS,
    *(tf.bool, tf.string, tf.int8, tf.int16, tf.int32, tf.int64),
    *(tf.uint8, tf.uint16, tf.uint32, tf.uint64),
}


@dataclass(frozen=True)
class Operation:
    """How an operation is rebuilt for a batch.

    Attributes:
        rebuild: makes the results, each with the batch's axis, of inputs of which one has it.
        can_fail: whether an entry of its inputs can make it raise.
        rounds: the kinds of arithmetic that it does.
    """

    rebuild: Rebuild
    can_fail: bool = False
    rounds: frozenset[str] = frozenset()


def copied(op: tf.Operation, tensors: Sequence[tf.Tensor], **changed: int) -> list[tf.Tensor]:
    """Return the results of the same operation on other tensors, with changed attributes."""
    attributes = {name: each for name, each in op.node_def.attr.items() if name[0] != "_"}
    attributes |= {name: tf.compat.v1.AttrValue(i=number) for name, number in changed.items()}
    dtypes = [output.dtype for output in op.outputs]
    # The name is in the text of errors.
    name = op.name.rsplit("/")[-1]
    graph = tf.compat.v1.get_default_graph()
    made = graph.create_op(op.type, list(tensors), dtypes, attrs=attributes, name=name)
    return list(made.outputs)


def shape_of_one(op: tf.Operation) -> list[tf.Tensor]:
    """Return the results of one of SHAPE_OPERATIONS."""
    constant = tf.get_static_value(op.outputs[0])
    if constant is None:
        raise CannotLift(f"{op.type} of a tensor that has no fixed shape")
    return [tf.constant(constant, op.outputs[0].dtype)]


def refuse_dtypes(op: tf.Operation) -> None:
    """Raise CannotLift where an operation has types whose arithmetic is not known."""
    for tensor in (*op.inputs, *op.outputs):
        if tensor.dtype not in _DTYPES:
            raise CannotLift(f"{op.type} has {tensor.dtype.name}")


def rounded(op: tf.Operation, inputs: Sequence[Value]) -> frozenset[str]:
    """Return the arithmetic that the results of an operation come from.

    Raises CannotLift where TensorFlow's optimizer could change the arithmetic. It moves constants
    from one operation to the next, `(x * 0.1) * 0.7` to `x * 0.07`, and drops `x * 1`. Whether it
    does depends on what it knows of the shapes, and so it differs between one record and many (seen
    with TensorFlow 2.16 and 2.21).
    """
    kinds = OPERATIONS[op.type].rounds
    before = frozenset[str]().union(*(value.rounded for value in inputs))
    if kinds & before:
        raise CannotLift(f"{op.type} after other arithmetic may be merged with it")
    if kinds and sum(bool(value.rounded) for value in inputs) > 1:
        raise CannotLift(f"{op.type} of several results of arithmetic may be merged with them")
    if kinds and any(_is_neutral(kinds, tensor) for tensor in op.inputs):
        raise CannotLift(f"{op.type} with 0 or 1 may be left out")
    return kinds | before


def _is_neutral(kinds: frozenset[str], tensor: tf.Tensor) -> bool:
    """Return whether a constant may have no effect: 0, or a factor of 1."""
    constant = tf.get_static_value(tensor)
    if constant is None or tensor.dtype == tf.string or not constant.size:
        return False
    is_one = MULTIPLIES in kinds and np.all(constant == 1)
    return bool(is_one or np.all(constant == 0))


def _entrywise(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    """Of the first input; the others, if any, are settings."""
    if any(value.is_batched or value.tensor.shape.rank != 0 for value in inputs[1:]):
        raise CannotLift(f"{op.type} has settings that depend on the record, or several")
    return copied(op, [value.tensor for value in inputs])


def _cast(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    source, target = op.inputs[0].dtype, op.outputs[0].dtype
    if source in _FLOATS and target not in {*_FLOATS, tf.int32, tf.int64, tf.bool}:
        raise CannotLift(f"a cast from {source.name} to {target.name} depends on the machine")
    return copied(op, [inputs[0].tensor])


def _broadcast(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    return copied(op, _aligned(op, inputs))


def _commutative(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    """Of two nan with different bits one is the result; which one, depends on the shapes."""
    are_unlike = len({tuple(value.tensor.shape) for value in inputs}) > 1
    if are_unlike and _is_float(op) and not any(map(_has_no_nan, inputs)):
        raise CannotLift(f"{op.type} of different shapes depends on them where both are nan")
    return _broadcast(op, inputs)


def _extreme(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    """Of 0.0 and -0.0, or what the processor takes for them, either may be the result."""
    if _is_float(op) and not any(map(_has_no_zero, inputs)):
        raise CannotLift(f"{op.type} of 0.0 and -0.0 may be either")
    return _broadcast(op, inputs)


def _is_float(op: tf.Operation) -> bool:
    return op.outputs[0].dtype in _FLOATS


def _has_no_nan(value: Value) -> bool:
    return value.constant is not None and not np.any(np.isnan(value.constant))


def _has_no_zero(value: Value) -> bool:
    if value.constant is None:
        return False
    # The processor may take smaller ones for 0.
    return bool(np.all(abs(value.constant) >= np.finfo(value.constant.dtype).tiny))


def _aligned(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    """Return tensors whose axes of one record stand where they stood, after the batch's."""
    rank = max(tensor.shape.rank for tensor in op.inputs)
    tensors = []
    for inner, value in zip(op.inputs, inputs, strict=True):
        missing = rank - inner.shape.rank
        if value.is_batched and missing:
            tensors.append(_reshaped(value.tensor, [1] * missing + inner.shape.as_list()))
        else:
            tensors.append(value.tensor)
    return tensors


def _decode_csv(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    if any(value.is_batched for value in inputs[1:]):
        raise CannotLift("DecodeCSV has defaults that depend on the record")
    return copied(op, [value.tensor for value in inputs])


def _join(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    shapes = {tuple(tensor.shape) for tensor in op.inputs}
    unequal = len({tuple(value.tensor.shape[1:]) for value in inputs if value.is_batched}) > 1
    if unequal or any(value.tensor.shape.rank for value in inputs if not value.is_batched):
        raise CannotLift(f"{op.type} has shapes {shapes}")
    return copied(op, [value.tensor for value in inputs])


def _reshape(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    """Of what changes the shape alone, whose result has a fixed one."""
    if any(value.is_batched for value in inputs[1:]):
        raise CannotLift(f"{op.type} has a shape that depends on the record")
    return [_reshaped(inputs[0].tensor, op.outputs[0].shape.as_list())]


def _pack(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    return copied(op, _all_batched(inputs), axis=_shifted(op.get_attr("axis")))


def _unpack(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    return copied(op, [inputs[0].tensor], axis=_shifted(op.get_attr("axis")))


def _concat(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    return copied(op, [*_all_batched(inputs[:-1]), _shifted_axis(op, -1)])


def _split(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    return copied(op, [_shifted_axis(op, 0), inputs[1].tensor])


def _split_sizes(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    sizes = _constant(op, 1)
    return copied(op, [inputs[0].tensor, tf.constant(sizes), _shifted_axis(op, 2)])


def _transpose(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    order = _constant(op, 1)
    return copied(op, [inputs[0].tensor, tf.constant([0, *(order + 1)], order.dtype)])


def _slice(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    begin, size = _constant(op, 1), _constant(op, 2)
    bounds = (tf.constant([0, *begin], begin.dtype), tf.constant([-1, *size], size.dtype))
    return copied(op, [inputs[0].tensor, *bounds])


def _strided_slice(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    """The batch's axis comes first in each list of indices, and as the lowest bit of each mask."""
    begin, end, strides = (_constant(op, index) for index in (1, 2, 3))
    indices = [
        tf.constant([first, *rest], rest.dtype)
        for first, rest in zip((0, 0, 1), (begin, end, strides), strict=True)
    ]
    masks = {
        name: (op.get_attr(name) << 1) | (name in ("begin_mask", "end_mask"))
        for name in op.node_def.attr
        if name.endswith("_mask")
    }
    return copied(op, [inputs[0].tensor, *indices], **masks)


def _gather(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    params, indices, _ = inputs
    if op.get_attr("batch_dims") or (params.is_batched and indices.is_batched):
        raise CannotLift("GatherV2 has indices that depend on the record, as its values do")
    axis = _shifted_axis(op, 2) if params.is_batched else tf.constant(_constant(op, 2))
    if not params.is_batched and tf.get_static_value(axis) != 0:
        raise CannotLift("GatherV2 has another axis than the first one")
    return copied(op, [params.tensor, indices.tensor, axis])


def _one_hot(op: tf.Operation, inputs: Sequence[Value]) -> list[tf.Tensor]:
    if any(value.is_batched for value in inputs[1:]):
        raise CannotLift("OneHot has settings that depend on the record")
    return copied(op, [value.tensor for value in inputs], axis=_shifted(op.get_attr("axis")))


def _shifted(axis: int) -> int:
    """Return the same axis where the batch's comes first; negative ones count from the last."""
    return axis + 1 if axis >= 0 else axis


def _shifted_axis(op: tf.Operation, index: int) -> tf.Tensor:
    axis = _constant(op, index)
    return tf.constant(_shifted(axis), axis.dtype)


def _constant(op: tf.Operation, index: int) -> Any:
    """Return the input that says where, as a NumPy array: it has to be the same for all records."""
    value = tf.get_static_value(op.inputs[index])
    if value is None:
        raise CannotLift(f"{op.type} has an axis, a size or an index that is no constant")
    return value


def _reshaped(tensor: tf.Tensor, shape: list[int]) -> tf.Tensor:
    if 0 in shape:
        raise CannotLift("a tensor without entries")
    return tf.reshape(tensor, [-1, *shape])


def _all_batched(inputs: Sequence[Value]) -> list[tf.Tensor]:
    batched = next(value.tensor for value in inputs if value.is_batched)
    return [
        value.tensor if value.is_batched else every_row(value.tensor, batched) for value in inputs
    ]


def every_row(tensor: tf.Tensor, batched: tf.Tensor) -> tf.Tensor:
    """Return a tensor once for each row of a batch."""
    return tf.broadcast_to(tensor, tf.concat([tf.shape(batched)[:1], tf.shape(tensor)], 0))


_ADDS, _MULTIPLIES = frozenset({ADDS}), frozenset({MULTIPLIES})
OPERATIONS: dict[str, Operation] = {
    **dict.fromkeys(
        (
            *("Identity", "StopGradient", "PreventGradient", "ZerosLike", "OnesLike"),
            *("Abs", "Floor", "Ceil", "Round", "Rint", "IsNan", "IsInf", "IsFinite", "LogicalNot"),
            *("AsString", "StringLower", "StringUpper", "StringStrip", "StringLength"),
            *("StaticRegexReplace", "StaticRegexFullMatch", "EncodeBase64"),
            *("StringToHashBucketFast", "StringToHashBucketStrong", "StringToHashBucket"),
        ),
        Operation(_entrywise),
    ),
    **dict.fromkeys(
        ("StringToNumber", "DecodeBase64", "Substr", "RegexReplace", "RegexFullMatch"),
        Operation(_entrywise, can_fail=True),
    ),
    "Neg": Operation(_entrywise, rounds=_ADDS),
    "Square": Operation(_entrywise, rounds=_ADDS | _MULTIPLIES),
    "Cast": Operation(_cast),
    **dict.fromkeys(
        (
            *("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"),
            *("LogicalAnd", "LogicalOr", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "SelectV2"),
        ),
        Operation(_broadcast),
    ),
    **dict.fromkeys(("Maximum", "Minimum"), Operation(_extreme)),
    **dict.fromkeys(("Add", "AddV2"), Operation(_commutative, rounds=_ADDS)),
    "Sub": Operation(_broadcast, rounds=_ADDS),
    "SquaredDifference": Operation(_broadcast, rounds=_ADDS | _MULTIPLIES),
    "Mul": Operation(_commutative, rounds=_MULTIPLIES),
    **dict.fromkeys(("RealDiv", "DivNoNan"), Operation(_broadcast, rounds=_MULTIPLIES)),
    # Of whole numbers they refuse to divide by 0.
    **dict.fromkeys(
        ("Div", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod"),
        Operation(_broadcast, can_fail=True, rounds=_MULTIPLIES),
    ),
    "DecodeCSV": Operation(_decode_csv, can_fail=True),
    "StringJoin": Operation(_join),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims", "EnsureShape"), Operation(_reshape)),
    "Pack": Operation(_pack),
    "Unpack": Operation(_unpack),
    "ConcatV2": Operation(_concat),
    "Split": Operation(_split),
    "SplitV": Operation(_split_sizes),
    "Transpose": Operation(_transpose),
    "Slice": Operation(_slice),
    "StridedSlice": Operation(_strided_slice),
    # An index may be outside.
    "GatherV2": Operation(_gather, can_fail=True),
    "OneHot": Operation(_one_hot),
}
# Those that may also stand among what is the same for all records.
CONSTANT_OPERATIONS = frozenset({"Const", "Fill", "Range", "BroadcastTo", "Tile"})
# Those whose result is the same for all records if their shapes are.
SHAPE_OPERATIONS = frozenset({"Shape", "Size", "Rank"})
