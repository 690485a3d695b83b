"""Rows of anything: none of them ends the decoder, or changes what becomes of another."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.decoding.base import decode_checked
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.sources import Column

pytestmark = pytest.mark.usefixtures("parser")

RIGHT = [b"1", b"2.5", b"-3", b"signal", b"", b'"4"']
PARTS = [*RIGHT, b"1e400", b"nan", b'""', b'"a,b"', b'"a""b"', b"x", b'"', b",", b"\n", b"\r"]
PARTS += [b" ", b"\t", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"x\x9c", b"1" * 5000]
DECODERS = [
    CsvDecoder(1, missing="nan"),
    CsvDecoder(2, finite=True),
    CsvDecoder(3, Column(0, classes=["background", "signal"]), missing="nan"),
    CsvDecoder(3, Column(2, classes=["background", "signal"]), True, missing={1: 0.5}),
    CsvDecoder(4, Column(3, dtype="int64"), select=[1], missing="nan"),
]


def row(of: random.Random, columns: int) -> bytes | None:
    kind = of.random()
    if kind < 0.6:
        return b",".join(of.choices(RIGHT, k=columns))
    if kind < 0.9:
        count = max(1, columns + of.choice([0, 0, 0, -1, 1]))
        return b",".join(b"".join(of.choices(PARTS, k=of.choice([1, 1, 2]))) for _ in range(count))
    return of.choice([of.randbytes(of.randrange(30)), None, b"", b" ", b"\n"])


@pytest.mark.parametrize("number", range(len(DECODERS)))
def test_a_row_has_the_same_result_alone_and_among_others(number, capfd):
    of, decode = random.Random(number), DECODERS[number]
    for length in [1, 2, 5, 70, 300] * 3:
        rows = [row(of, decode.plan().columns) for _ in range(length)]
        decoded = decode_checked(decode, chunk(rows))
        reasons = {each.index: each.reason for each in decoded.faults}
        place = {index: place for place, index in enumerate(decoded.kept.tolist())}
        for index in of.sample(range(length), min(length, 8)):
            alone = decode_checked(decode, chunk([rows[index]]))
            found = [each.reason for each in alone.faults]
            assert found == ([reasons[index]] if index in reasons else []), rows[index]
            for one, all_of_them in zip(alone.arrays, decoded.arrays, strict=True):
                if index in place:
                    np.testing.assert_array_equal(one[0], all_of_them[place[index]])
    assert capfd.readouterr() == ("", "")
