"""Decode damaged records for some seconds: `python -m tests.unit.decoding.fuzz KIND SECONDS SEED`.

Prints the numbers of chunks, of decoded records and of bad ones. What an import of TensorFlow
writes to stderr is not shown; what decoding writes is.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator

import fastavro
import numpy as np
from google.protobuf.message import DecodeError

from tests.unit.decoding.avro_samples import record, written
from tests.unit.decoding.protobuf_samples import EVENT, JET, classes, framed
from tests.unit.messages import chunk
from tfkafka.decoding.base import Decoder
from tfkafka.decoding.sources import Field

RECORDS = 40


@contextlib.contextmanager
def stderr_into(path: str | os.PathLike[str]) -> Iterator[None]:
    """Have a file for all that is written to stderr, by C++ too."""
    kept, file = os.dup(2), os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(file)


with stderr_into(os.devnull):
    import tensorflow as tf

    from tfkafka.decoding.avro import AvroDecoder
    from tfkafka.decoding.example import ExampleDecoder
    from tfkafka.decoding.image import ImageDecoder
    from tfkafka.decoding.json import JsonDecoder
    from tfkafka.decoding.protobuf import ProtobufDecoder
    from tfkafka.decoding.tensor import TensorDecoder

    # Its first use of a device writes there too.
    tf.zeros(1).numpy()

Judge = Callable[[bytes, np.ndarray], bool]


def damaged(value: bytes, rng: random.Random) -> bytes:
    """A value with some bytes replaced, removed, repeated or added."""
    data = bytearray(value)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 5])):
        place, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 4, 30])
        match rng.randrange(5):
            case 0:
                data[place : place + length] = rng.randbytes(length)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case 3:
                data[place:place] = rng.randbytes(length)
            case 4:
                del data[place:]
    return bytes(data)


def tensor() -> tuple[Decoder, list[bytes], Judge]:
    values = [np.arange(6, dtype=">f4").tobytes()]
    return (
        TensorDecoder([2, 3], ">f4", finite=True),
        values,
        lambda value, array: array.astype(">f4").tobytes() == value,
    )


def example() -> tuple[Decoder, list[bytes], Judge]:
    kinds = tf.train.Feature
    features = {
        "x": kinds(float_list=tf.train.FloatList(value=[1, 2, 3])),
        "n": kinds(int64_list=tf.train.Int64List(value=[300, -5])),
        "c": kinds(bytes_list=tf.train.BytesList(value=[b"dog"])),
        "other": kinds(bytes_list=tf.train.BytesList(value=[b"x" * 20])),
    }
    value = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    fields = [
        Field("x", shape=[3]),
        Field("n", shape=[2], dtype="int64"),
        Field("c", classes=["cat", "dog"]),
    ]

    def is_right(value: bytes, array: np.ndarray) -> bool:
        try:
            found = tf.train.Example.FromString(value).features.feature
        except DecodeError:
            # Damaged in a feature that nobody asked for.
            return True
        expected = [*found["x"].float_list.value, *found["n"].int64_list.value]
        index = [b"cat", b"dog"].index(found["c"].bytes_list.value[0])
        return np.array_equal(np.array([*expected, index], np.float32), array, equal_nan=True)

    return ExampleDecoder(fields), [value], is_right


def objects() -> tuple[Decoder, list[bytes], Judge]:
    value = (
        b'{"a": 1.5, "x": {"y": -2e3}, "h": [[1, 2], [3, 4]], "n": 7, "c": "dog", "z": "\\u00e4"}'
    )
    values = [value, value.replace(b" ", b""), json.dumps(json.loads(value), indent=1).encode()]
    classes = ["cat", "dog"]
    fields = [
        *("a", "x.y", Field("h", shape=[2, 2])),
        *(Field("n", dtype="int32"), Field("c", classes=classes)),
    ]

    def is_right(value: bytes, array: np.ndarray) -> bool:
        found = json.loads(value.decode(), parse_int=float)
        numbers = [found["a"], found["x"]["y"], *np.ravel(found["h"]), found["n"]]
        with np.errstate(over="ignore"):
            expected = np.array([*numbers, classes.index(found["c"])]).astype(np.float32)
        return np.array_equal(expected, array)

    return JsonDecoder(fields), values, is_right


def avro() -> tuple[Decoder, list[bytes], Judge]:
    pair = record("Pair", [("y", "double"), ("tagged", "boolean")])
    floats = {"type": "array", "items": "float"}
    kind = {"type": "enum", "name": "Kind", "symbols": ["cat", "dog"]}
    schema = record(
        "All",
        [
            *(("other", ["null", "bytes"]), ("a", ["float", "null"]), ("x", pair), ("h", floats)),
            *(("n", "int"), ("c", "string"), ("k", kind)),
        ],
    )
    row = {"other": b"?", "a": 1.5, "x": {"y": -2e3, "tagged": True}, "h": [1, 2], "n": 300}
    values = [
        written(schema, row | {"c": "dog", "k": "cat"}),
        written(schema, row | {"other": None, "c": "cat", "k": "dog"}),
    ]
    classes = ["cat", "dog"]
    fields = [
        *("a", "x.y", "x.tagged", Field("h", shape=[2]), Field("n", dtype="int32")),
        *(Field("c", classes=classes), Field("k", classes=classes)),
    ]

    def is_right(value: bytes, array: np.ndarray) -> bool:
        file = io.BytesIO(value)
        found = fastavro.schemaless_reader(
            file, schema, None, handle_unicode_errors="surrogateescape"
        )
        names = [classes.index(found["c"]), classes.index(found["k"])]
        numbers = [found["a"], *found["x"].values(), *found["h"], found["n"], *names]
        with np.errstate(over="ignore", invalid="ignore"):
            expected = np.array(numbers, np.float64).astype(np.float32)
        return file.tell() == len(value) and np.array_equal(expected, array, equal_nan=True)

    return AvroDecoder(fields, schema=schema), values, is_right


def protobuf() -> tuple[Decoder, list[bytes], Judge]:
    event, jet = classes(EVENT, JET)
    row = {"run": "Jäger", "met": 1.5, "jet": jet(x=-2, tagged=True), "hits": [1, 2]}
    messages = [
        event(**row, n=300, kind=1, name="dog", counts=[-1, 100]),
        event(**row, n=-5, name="cat", counts=[1, 2]),
    ]
    fields = [
        *("met", Field("n", dtype="int32"), "jet.x", "jet.tagged", Field("hits", shape=[2])),
        *(Field("name", classes=["cat", "dog"]), Field("kind", classes=["a", "b"])),
        Field("counts", shape=[2], dtype="int32"),
    ]

    def is_right(value: bytes, array: np.ndarray) -> bool:
        # The first message of a schema has a short form, too.
        indexes = b"\2\0" if value[5:7] == b"\2\0" else b"\0"
        assert value[0] == 0 and value[5:].startswith(indexes)
        found = event.FromString(value[5 + len(indexes) :])
        assert found.HasField("n") and found.HasField("jet")
        numbers = [found.met, found.n, found.jet.x, found.jet.tagged, *found.hits]
        numbers += [["cat", "dog"].index(found.name), found.kind, *found.counts]
        with np.errstate(over="ignore", invalid="ignore"):
            expected = np.array(numbers, np.float64).astype(np.float32)
        return np.array_equal(expected, array, equal_nan=True)

    values = [framed([0], each.SerializeToString()) for each in messages]
    return ProtobufDecoder(fields, message=event, framing="confluent"), values, is_right


def image(encode: Callable[..., tf.Tensor]) -> tuple[Decoder, list[bytes], Judge]:
    pixels = np.random.default_rng(3).integers(0, 256, (9, 11, 3), np.uint8)
    values = [encode(pixels).numpy(), encode(pixels[..., :1]).numpy()]

    def is_right(value: bytes, array: np.ndarray) -> bool:
        return (tf.io.decode_image(value, 3, expand_animations=False).numpy() == array).all()

    return ImageDecoder([9, 11, 3]), values, is_right


KINDS = {
    "tensor": tensor,
    "example": example,
    "json": objects,
    "avro": avro,
    "protobuf": protobuf,
    "png": lambda: image(tf.io.encode_png),
    "jpeg": lambda: image(tf.io.encode_jpeg),
}


def fuzz(kind: str, seconds: float, seed: int) -> tuple[int, int, int]:
    """Return the numbers of chunks, of decoded records and of bad ones."""
    rng, (decode, good, is_right) = random.Random(seed), KINDS[kind]()
    rounds = decoded = bad = 0
    end = time.monotonic() + seconds
    while not rounds or time.monotonic() < end:
        values = [damaged(rng.choice(good), rng) for _ in range(RECORDS)]
        found = decode.decode(chunk(values))
        assert sorted([*found.kept, *(fault.index for fault in found.faults)]) == [*range(RECORDS)]
        for fault in found.faults:
            assert fault.reason.isprintable() and len(fault.reason) < 200, fault
        for index, array in zip(found.kept, found.arrays[0], strict=True):
            assert is_right(values[index], array), values[index]
        rounds, decoded, bad = rounds + 1, decoded + len(found.kept), bad + len(found.faults)
    return rounds, decoded, bad


if __name__ == "__main__":
    print(*fuzz(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
