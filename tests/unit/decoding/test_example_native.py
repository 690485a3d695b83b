"""The native search for features: it finds what Python finds, and reads nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf

from tests.unit.decoding.csv_samples import without_library
from tests.unit.decoding.fuzz import damaged
from tfkafka.chunk import Column
from tfkafka.decoding import example_columns
from tfkafka.decoding.sources import Field

pytestmark = pytest.mark.usefixtures("native_parser")

FIELDS = [Field("x", shape=(3,)), Field("n", dtype="int64"), Field("c", classes=["a", "b"])]


def record(rng: random.Random) -> bytes:
    feature = {
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=[1, 2, 3])),
        "n": tf.train.Feature(int64_list=tf.train.Int64List(value=[rng.randrange(-5, 2**40)])),
        "c": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"])),
        "other" * rng.randrange(60): tf.train.Feature(),
    }
    kept = {name: feature[name] for name in feature if rng.randrange(9)}
    return tf.train.Example(features=tf.train.Features(feature=kept)).SerializeToString(
        deterministic=True
    )


def plain_ones(values: Column) -> tuple[list[list[bytes]], list[bool]]:
    """What each feature of each plain record is, and which records are plain."""
    features, is_read = example_columns.read(values, FIELDS)
    if not is_read.all():
        return [], is_read.tolist()
    found = [[each.is_missing.tobytes(), each.values.tolist()] for each in features]
    return found, is_read.tolist()


def of_buffer(values: list[bytes | None]) -> Column:
    column = Column.of([b"before", *values], len(values) + 1)
    return Column.of_buffer(column.buffer, column.offsets, column.nulls)[1:]


def test_it_finds_what_python_finds():
    rng = random.Random(5)
    plain = 0
    for _ in range(150):
        values: list[bytes | None] = [record(rng) for _ in range(rng.choice([1, 2, 9]))]
        if rng.randrange(2):
            values = [damaged(value, rng) if rng.randrange(3) == 0 else value for value in values]
        if rng.randrange(5) == 0:
            values[0] = None
        for column in (Column.of(values, len(values)), of_buffer(values)):
            found = plain_ones(column)
            with without_library():
                assert found == plain_ones(column), values
            plain += sum(found[1])
    assert plain > 500


def field(number: int, content: bytes, length: bytes = b"") -> bytes:
    """A field that has a length, of less than 128 bytes unless it is given."""
    return bytes([number << 3 | 2]) + (length or bytes([len(content)])) + content


ONE, TWO = (field(2, field(1, np.array([number] * 3, "<f4").tobytes())) for number in (1, 2))
NAME = field(1, b"x")


@pytest.mark.parametrize(
    "entries",
    [
        field(1, NAME + field(2, ONE)) * 2,
        field(1, NAME + field(2, ONE) + field(2, TWO)),
        field(1, NAME + field(2, ONE) + b"\x18\x01"),
        field(1, field(2, ONE) + NAME),
        field(1, NAME),
        field(1, NAME + field(2, ONE, b"\x80\x80\x80\x80\x80\x00")),
        field(1, NAME + field(2, ONE, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
        field(1, NAME + field(2, ONE, bytes([len(ONE) + 1]))),
        field(1, NAME + field(3, ONE)),
        field(3, NAME + field(2, ONE)),
        field(1, NAME + field(2, ONE)) + b"\x0a",
    ],
)
def test_what_no_serialiser_writes_is_not_plain(entries):
    record = field(1, entries)
    values = of_buffer([field(1, field(1, NAME + field(2, ONE))), record])
    found, is_read = plain_ones(values)
    assert is_read == [True, False] and not found
    with without_library():
        assert plain_ones(values) == (found, is_read)


def test_records_may_have_any_number_of_other_features():
    """Python leaves those with more than 16 names in one place to TensorFlow."""
    values = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    f"only in {number}": tf.train.Feature(),
                    "x": tf.train.Feature(float_list=tf.train.FloatList(value=[number] * 3)),
                }
            )
        ).SerializeToString(deterministic=True)
        for number in range(40)
    ]
    [feature], is_read = example_columns.read(Column.of(values, 40), FIELDS[:1])
    assert is_read.all() and not feature.is_missing.any()
    assert np.array_equal(feature.values, np.arange(40.0)[:, None].repeat(3, 1))
