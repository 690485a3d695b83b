"""Single serialised tf.train.Example, as TensorFlow's own class reads them."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from google.protobuf.message import DecodeError

from tfkafka.decoding.example_columns import kind_of
from tfkafka.decoding.example_fields import Asked


class WrongExampleError(ValueError):
    """A record cannot be read; the message says why."""


def rewrite(value: bytes | None, asked: Sequence[Asked]) -> bytes:
    """Return a record with the fields that are asked for alone, laid out plainly.

    Raises WrongExampleError where it is no Example, or a field is of the wrong kind or size.
    """
    if value is None:
        raise WrongExampleError("is null")
    try:
        given = tf.train.Example.FromString(value).features.feature
    except DecodeError:
        raise WrongExampleError("is no tf.train.Example") from None
    plain = tf.train.Example()
    for each in asked:
        name, size, right = each.field.name, each.field.size, kind_of(each.field)
        # Asked first: looking a name up adds it.
        kind = given[name].WhichOneof("kind") if name in given else None
        values = [] if kind is None else getattr(given[name], kind).value
        if not values:
            continue
        if kind != right:
            raise WrongExampleError(f"{each.named} is {kind}, must be {right}")
        if len(values) != size:
            advice = "" if each.field.shape else "; for an array give Field(name, shape=)"
            raise WrongExampleError(
                f"{each.named} has {len(values)} values instead of {size}{advice}"
            )
        getattr(plain.features.feature[name], kind).value[:] = values
    rewritten: bytes = plain.SerializeToString()
    return rewritten
