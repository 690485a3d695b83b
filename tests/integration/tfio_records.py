"""tensorflow-io's functions of Avro and JSON records: what they return, raise, or end with.

Each function runs in a process of its own and brings back facts; the tests judge them. `reader`
is the module that offers tensorflow-io's names.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np

from tests import isolated
from tests.unit.decoding.avro_samples import record

FLOAT = json.dumps(record("R", [("a", "float")]))
ENUM = {"type": "enum", "name": "Kind", "symbols": ["x", "y"]}
ALL = record(
    "All",
    [
        *(("flag", "boolean"), ("small", "int"), ("large", "long"), ("single", "float")),
        *(("double", "double"), ("text", "string"), ("raw", "bytes")),
        *(("first", ["null", "long"]), ("last", ["string", "null"]), ("odd", ["null", "boolean"])),
    ],
)
FIRST = {
    **{"flag": True, "small": -5, "large": 2**40, "single": 1.5, "double": 0.1, "text": "muon ä"},
    **{"raw": b"\xff\0", "first": 2**53 + 1, "last": "x", "odd": True},
}
SECOND = FIRST | {"flag": False, "text": "", "raw": b"", "first": None, "last": None, "odd": None}
OBJECT = {
    **{"flag": True, "small": -5, "large": 2**53 + 1, "single": 1.5, "double": 0.1, "text": "muon"},
    **{"row": [1, 2], "matrix": [[1.5, 2], [3, 4]], "in": {"a": 1, "b": [True, False]}},
    **{"texts": ["a", "ä"], "pair": [7, "x"], "one": [5]},
}


@dataclass(frozen=True)
class Facts:
    """What one process saw; the name of an error stands where one was raised.

    Attributes:
        encoded: the lengths of two records of one float.
        nullable: records of a float in a union that begins with null.
        enum: of a schema that has one.
        text_as_number: of JSON, for a float32.
        fraction, too_large: of JSON, for an int32.
    """

    encoded: list[int]
    nullable: list[bytes] | str
    enum: str
    text_as_number: float | str
    fraction: int | str
    too_large: int | str


def in_one_process(reader: str) -> Facts:
    """What is wrong, and does not end the process."""
    import tensorflow as tf

    functions = _functions(reader)
    nullable = json.dumps(record("R", [("a", ["null", "float"])]))
    enum = json.dumps(record("R", [("a", ENUM)]))

    def number(text: str, dtype: Any) -> Any:
        specs = {"a": tf.TensorSpec([], dtype)}
        return _or_error(lambda: functions.decode_json(text, specs)["a"].numpy().item())

    return Facts(
        encoded=[len(each) for each in _encoded(functions, [1.0, 2.0])],
        nullable=_or_error(
            lambda: functions.encode_avro([tf.constant([1.5])], nullable).numpy().tolist()
        ),
        enum=_or_error(lambda: str(functions.decode_avro([b"\2"], enum))),
        text_as_number=number('{"a": "x"}', tf.float32),
        fraction=number('{"a": 1.5}', tf.int32),
        too_large=number('{"a": 3000000000}', tf.int32),
    )


def truncated(reader: str) -> str:
    """Decode an Avro record that is too short."""
    return _or_error(lambda: str(_functions(reader).decode_avro([b"\0\0"], FLOAT)))


def another_dtype(reader: str) -> str:
    """Encode whole numbers for a field of floats."""
    import tensorflow as tf

    return _or_error(lambda: str(_functions(reader).encode_avro([tf.constant([1])], FLOAT)))


def json_vector(reader: str) -> list[float] | str:
    """Decode two JSON records at once."""
    import tensorflow as tf

    specs = {"a": tf.TensorSpec([], tf.float32)}
    texts = ['{"a": 1.5}', '{"a": 2.5}']
    return _or_error(lambda: _functions(reader).decode_json(texts, specs)["a"].numpy().tolist())


def or_exit(function: Callable[[str], Any], reader: str) -> Any:
    """What a function returns in a process of its own, or what that ended with."""
    try:
        return isolated.run(function, reader)
    except isolated.ProcessFailed as failed:
        return str(failed).splitlines()[0]


def negative_ends(reader: str, servers: str, topic: str) -> tuple[list[int], list[int] | str]:
    """`[0:-1]` and `[:-3]` of a topic."""
    values = importlib.import_module(reader).IOTensor.from_kafka(topic, servers=servers)
    first, second = (
        _or_error(lambda slice=each: [int(value) for value in values[slice].numpy()])
        for each in (slice(0, -1), slice(None, -3))
    )
    return first, second


def right_results(reader: str) -> dict[str, Any]:
    """What tensorflow-io does right: Avro of all its types in several shapes, and JSON."""
    import tensorflow as tf

    functions, schema = _functions(reader), json.dumps(ALL)
    bodies = [_written(FIRST), _written(SECOND)]
    shapes = {
        "scalar": bodies[0],
        "vector": bodies,
        "matrix": [bodies, bodies],
        "empty": tf.zeros([0, 3], tf.string),
        "followed": [bodies[0] + b"others"],
    }
    found = {
        name: functions.decode_avro(tf.constant(data), schema) for name, data in shapes.items()
    }
    found["bytes"] = functions.decode_avro(bodies, schema.encode(), name="decoded")
    mapped = tf.data.Dataset.from_tensor_slices(bodies).map(
        lambda body: functions.decode_avro(body, schema)
    )
    found["mapped"] = list(mapped)
    found["number"] = functions.decode_avro([b"\2"], '{"type": "int"}')
    specs = {
        **{"flag": tf.TensorSpec([], tf.bool), "small": tf.TensorSpec([], tf.int32)},
        **{"large": tf.TensorSpec([], tf.int64), "single": tf.TensorSpec([], tf.float32)},
        **{"double": tf.TensorSpec([], tf.float64), "text": tf.TensorSpec([], tf.string)},
        **{"row": tf.TensorSpec([2], tf.float32), "matrix": tf.TensorSpec([None, 2], tf.float64)},
        **{"in": {"a": tf.TensorSpec([], tf.int64), "b": tf.TensorSpec([2], tf.bool)}},
        **{"texts": tf.TensorSpec([2], tf.string), "one": tf.TensorSpec([], tf.int32)},
        **{"pair": (tf.TensorSpec([], tf.int32), tf.TensorSpec([1], tf.string))},
        **{"in/a": tf.TensorSpec([], tf.float32), "matrix/1": tf.TensorSpec([2, 1], tf.float32)},
    }
    found["json"] = functions.decode_json(json.dumps(OBJECT), specs)
    objects = tf.data.Dataset.from_tensors(json.dumps(OBJECT))
    found["json mapped"] = list(objects.map(lambda text: functions.decode_json(text, specs)))
    plain = tf.nest.map_structure(lambda each: (np.asarray(each).tolist(), each.dtype), found)
    return plain | {"specs": [str(mapped.element_spec)]}


def decoded_by_both(data: list[float]) -> tuple[list[float], list[float]]:
    """What each decodes of records that tensorflow-io encoded."""
    records = _encoded(_functions("tensorflow_io"), data)
    first, second = (
        _functions(reader).decode_avro(records, FLOAT)["a"].numpy().tolist()
        for reader in ("tensorflow_io", "tfkafka.tfio")
    )
    return first, second


def _functions(reader: str) -> Any:
    return importlib.import_module(reader).experimental.serialization


def _encoded(functions: Any, data: list[float]) -> list[bytes]:
    import tensorflow as tf

    return functions.encode_avro([tf.constant(data)], FLOAT).numpy().tolist()


def _written(row: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, ALL, row)
    return file.getvalue()


def _or_error(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error).__name__
