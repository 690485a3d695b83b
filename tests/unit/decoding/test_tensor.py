"""Raw bytes to arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import chunk
from tests.unit.properties import few
from tfkafka.chunk import Column
from tfkafka.decoding.base import ArraySpec, needs_headers, only_finite
from tfkafka.decoding.plan import DecoderPlan, FieldPlan
from tfkafka.decoding.sources import Header, Key
from tfkafka.decoding.tensor import TensorDecoder

NUMBERS = np.arange(12, dtype=np.float32).reshape(4, 3)
GOOD = [row.tobytes() for row in NUMBERS]
BAD = [
    (None, "is null"),
    (b"", "has 0 bytes instead of 12"),
    (GOOD[0][:-1], "has 11 bytes instead of 12"),
    (GOOD[0] + b"\0", "has 13 bytes instead of 12"),
    (GOOD[0] * 2, "has 24 bytes instead of 12"),
    (np.array([1, np.nan, np.inf], np.float32).tobytes(), "value [1] is not finite as float32: b"),
    (np.array([1, 2, -np.inf], np.float32).tobytes(), "value [2] is not finite as float32: b'-inf"),
]
NAMES = [
    "bool",
    "int8",
    "uint8",
    "<i2",
    ">u2",
    "int32",
    ">i8",
    "uint32",
    "uint64",
    "float16",
    "<f4",
    ">f4",
]
NAMES += ["float64", ">f8", "complex64", "<c16"]


def test_values_become_arrays():
    decode = TensorDecoder([2, 2], "<i2", "key", sample_weight=Header("w"))
    assert needs_headers(decode)
    assert decode.element_spec[0] == ArraySpec((2, 2), np.dtype(np.int16))
    numbers = np.arange(8, dtype="<i2").reshape(2, 2, 2)
    decoded = TensorDecoder([2, 2], "<i2", "key").decode(
        chunk([each.tobytes() for each in numbers], [b"1", b"0"])
    )
    features, labels = decoded.arrays
    assert features.dtype == np.int16 and features.tolist() == numbers.tolist()
    assert labels.tolist() == [1, 0] and decoded.faults == ()


@pytest.mark.parametrize(("value", "reason"), BAD)
@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_bad_record_is_found_and_the_others_are_decoded(value, reason, place):
    values = GOOD.copy()
    values.insert(place, value)
    decoded = TensorDecoder([3], finite=True).decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [place]
    assert decoded.faults[0].reason.startswith(reason)
    assert decoded.arrays[0].tolist() == NUMBERS.tolist()
    assert decoded.kept.tolist() == [index for index in range(5) if index != place]


def test_two_lengths_that_cancel_out():
    values = [GOOD[0], GOOD[1] + b"\0", GOOD[2][:-1], GOOD[3]]
    decoded = TensorDecoder([3]).decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [1, 2]
    assert decoded.arrays[0].tolist() == NUMBERS[[0, 3]].tolist()


def test_all_of_a_chunk_and_none():
    for values in ([b"x"] * 3, []):
        decoded = TensorDecoder([1000, 1000], label="key").decode(chunk(values))
        assert len(decoded.faults) == len(values)
        assert [len(array) for array in decoded.arrays] == [0, 0]
        assert decoded.arrays[0].shape == (0, 1000, 1000)


def test_faults_of_labels_and_of_values_are_in_order():
    nan = np.full(3, np.nan, np.float32).tobytes()
    records = chunk([GOOD[0], b"", nan, GOOD[1], GOOD[2]], [b"x", b"1", b"x", b"7", None])
    decoded = TensorDecoder([3], label=Key(dtype="int32"), finite=True).decode(records)
    assert [(fault.index, fault.kind) for fault in decoded.faults] == [
        (0, "label: is not a whole number of int32"),
        (1, "has 0 bytes instead of 12"),
        (2, "value [0] is not finite as float32"),
        (4, "label: is null"),
    ]
    assert decoded.kept.tolist() == [3] and decoded.arrays[1].tolist() == [7]


def test_a_bool_is_0_or_1():
    decoded = TensorDecoder([2], "bool").decode(chunk([b"\0\1", b"\1\2", b"\xff\0"]))
    assert decoded.arrays[0].tolist() == [[False, True]]
    reasons = [fault.reason for fault in decoded.faults]
    assert reasons == [
        "value [1] is neither 0 nor 1: b'2'",
        "value [0] is neither 0 nor 1: b'255'",
    ]


def test_not_finite_where_it_may_be():
    value = np.array(np.nan, ">c8").tobytes()
    assert TensorDecoder((), ">c8").decode(chunk([value])).faults == ()
    [fault] = only_finite(TensorDecoder((), ">c8")).decode(chunk([value])).faults
    assert fault.kind == "the value is not finite as complex64"


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@few
def test_equal_bit_by_bit_to_tensorflows_decode_raw(name, data):
    tf = pytest.importorskip("tensorflow")
    shape = data.draw(st.sampled_from([(), (1,), (3,), (2, 3)]))
    stored = np.dtype(name)
    size = stored.itemsize * int(np.prod(shape))
    byte = st.integers(0, 1) if name == "bool" else st.integers(0, 255)
    one = st.lists(byte, min_size=size, max_size=size).map(bytes)
    values = data.draw(st.lists(one, min_size=1, max_size=5))
    decode = TensorDecoder(shape, name)
    decoded = decode.decode(chunk(values))
    assert decoded.faults == ()
    native = stored.newbyteorder("=")
    # TensorFlow does not read uint32 and uint64 there: their bits are those of the other kind.
    read_as = np.dtype(native.name.removeprefix("u"))
    expected = tf.io.decode_raw(values, read_as, little_endian=stored.byteorder != ">").numpy()
    [features] = decoded.arrays
    assert decode.element_spec == (ArraySpec(shape, native),)
    assert features.dtype == native and features.shape == (len(values), *shape)
    assert features.tobytes() == expected.tobytes()


@given(values=st.lists(st.none() | st.binary(max_size=9), max_size=9), start=st.integers(0, 9))
@few
def test_a_column_made_of_a_buffer_gives_the_same(values, start):
    of_bytes = chunk(values).values
    of_buffer = Column.of_buffer(of_bytes.buffer, of_bytes.offsets, of_bytes.nulls)
    for size in (1, 4, 9):
        expected = [*map(len, filter(None, values[start:]))] == [size] * len(values[start:])
        for column in (of_bytes[start:], of_buffer[start:]):
            found = column.matrix(size)
            assert (found is not None) == expected
            if found is not None:
                assert found.shape == (len(values[start:]), size)
                assert found.tobytes() == b"".join(values[start:])


def test_it_describes_itself():
    assert TensorDecoder([2], ">f8", Key(classes=["a", "b"]), finite=True).plan() == DecoderPlan(
        "tensor",
        (FieldPlan("value", None, ">f8", (2,)),),
        "array",
        FieldPlan("key", None, "int64", classes=("a", "b")),
        finite=True,
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"shape": [0]}, "TensorDecoder: shape"),
        ({"shape": 3}, "TensorDecoder: shape is 3, must be a shape"),
        ({"shape": [2**31]}, "8,589,934,592 bytes, must be at most"),
        ({"shape": [2], "dtype": "str"}, "TensorDecoder: dtype is 'str', must be one of bool"),
        ({"shape": [2], "dtype": "f4,f4"}, "TensorDecoder: dtype"),
        ({"shape": [2], "dtype": "float128"}, "TensorDecoder: dtype"),
        ({"shape": [2], "dtype": np.float32}, "TensorDecoder: dtype"),
        ({"shape": [2], "label": "value"}, "TensorDecoder: label"),
        ({"shape": [2], "sample_weight": "key"}, "label is not: give label= too"),
        ({"shape": [2], "finite": 1}, "TensorDecoder: finite"),
    ],
)
def test_wrong_arguments_are_refused(arguments, line):
    with pytest.raises((ValueError, TypeError), match=line):
        TensorDecoder(**arguments)
