"""Labels and sample weights from keys and headers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.messages import chunk, fill, message
from tfkafka.decoding.base import ArraySpec, needs_headers
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.sources import Header, Key

pytestmark = pytest.mark.usefixtures("parser")


def with_headers(*headers):
    """Records with the value 1,2 and these headers."""
    return fill(message(b"1,2", b"0", offset=i, headers=each) for i, each in enumerate(headers))


def test_key_is_a_key_without_options():
    records = chunk([b"1,2"] * 3, [b"1.5", b"spam", b"inf"])
    short, long = (CsvDecoder(2, label, True).decode(records) for label in ("key", Key()))
    assert short.faults == long.faults and len(short.faults) == 2
    assert short.arrays[1].tolist() == long.arrays[1].tolist() == [1.5]


def test_classes_become_their_indices():
    decode = CsvDecoder(2, Key(classes=["background", "signal"]))
    assert decode.element_spec[1] == ArraySpec((), np.dtype(np.int64))
    keys = [b"signal", b"muon", None, b"", b"background"]
    decoded = decode.decode(chunk([b"1,2"] * 5, keys))
    assert decoded.arrays[1].tolist() == [1, 0] and decoded.arrays[1].dtype == np.int64
    assert [(fault.index, fault.reason) for fault in decoded.faults] == [
        (1, "label: is none of the classes: b'muon'"),
        (2, "label: is null"),
        (3, "label: is empty"),
    ]
    assert decoded.faults[0].kind == "label: is none of the classes"


@pytest.mark.parametrize(
    ("dtype", "right", "wrong"),
    [
        ("int64", 2**53 + 1, [b"1.5", b"9223372036854775808", b"nan"]),
        ("int32", 2**31 - 1, [b"2147483648", b"x"]),
        ("float64", 1e300, [b"x", b""]),
    ],
)
def test_a_label_has_the_type_that_is_asked_for(dtype, right, wrong):
    decoded = CsvDecoder(2, Key(dtype=dtype)).decode(
        chunk([b"1,2"] * (1 + len(wrong)), [str(right).encode(), *wrong])
    )
    assert decoded.arrays[1].tolist() == [right] and decoded.arrays[1].dtype == dtype
    assert [fault.index for fault in decoded.faults] == list(range(1, 1 + len(wrong)))


def test_the_last_header_of_a_name_counts():
    decode = CsvDecoder(2, Header("y"), sample_weight=Header("w"))
    assert needs_headers(decode) and not needs_headers(CsvDecoder(2, Key()))
    decoded = decode.decode(
        with_headers(
            [("y", b"1"), ("w", b"0.5")],
            [("y", b"1"), ("y", b"2"), ("w", b"3")],
            [("y", b"1")],
            [("y", None), ("w", b"1")],
            [],
        )
    )
    _, labels, weights = decoded.arrays
    assert labels.tolist() == [1, 2] and weights.tolist() == [0.5, 3]
    assert [(fault.index, fault.reason) for fault in decoded.faults] == [
        (2, "sample_weight: has no header 'w'"),
        (3, "label: is null"),
        (4, "label: has no header 'y'"),
    ]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: CsvDecoder(2, sample_weight=Key()), "label is not: give label= too"),
        (lambda: CsvDecoder(2, "value"), "label is 'value', must be \"key\", Key"),
        (lambda: JsonDecoder(["a"], "rent"), r"must be \"key\", .*, Field\('rent'\), or None"),
        (lambda: Key(classes="signal"), "a list of different names"),
        (lambda: Key(classes=["a", "a"]), "a list of different names"),
        (lambda: Key(classes=[]), "at least one text"),
        (lambda: Key(classes={"a", "b"}), "a list of different names"),
        (lambda: Header(""), "Header: name"),
        (lambda: Key(dtype="int16"), "Key: dtype is 'int16', must be one of"),
    ],
)
def test_wrong_arguments_are_refused(make, line):
    with pytest.raises(ValueError, match=line):
        make()
