"""Rows of CSV and decoders for them, at random, and whether two parsers see the same in them."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator, Mapping
from unittest import mock

import numpy as np

from tests.unit.messages import fill, message
from tfkafka import native
from tfkafka.chunk import Chunk, Column
from tfkafka.decoding.base import Decoded
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.sources import DTYPES, Header, Key
from tfkafka.decoding.sources import Column as ColumnOf

NAMES = [["background", "signal"], ["1", "a,b", 'a"b', " x", "é", "\n", "y" * 400 + '"', "a"]]
WHOLE = [0, 7, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**19, 10**40]
SPECIAL = "nan NaN inf Infinity infin nan(1) . 1. .5 1e 1e+ 1d5 0x10 1_0 e5 1e99999999999 --1 ++1"
ODD = [b'"', b'""', b",", b"\n", b"\r", b"\r\n", b" ", b"\t", b"\v", b"\f", b"\x00", b"\xff", b"x"]
ODD += [b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"x\x9c", b"0", b"-", b"+", b".", b"e", b"\x1c", b"\xa0"]


def decoder(of: random.Random) -> CsvDecoder:
    """A decoder of one to six columns."""
    while True:
        count = of.randint(1, 6)
        columns = [f"c{number}" for number in range(count)] if of.random() < 0.5 else count
        keys = of.sample(range(count), of.randint(1, count))
        missing: object = of.choice(["bad", "nan", {key: of.uniform(-9, 9) for key in keys}])
        try:
            return CsvDecoder(
                columns,
                _source(of, count),
                of.choice([None, True]),
                _source(of, count),
                select=of.choice([None, of.sample(range(count), of.randint(1, count))]),
                features=of.choice(["matrix", "dict"]),
                missing=missing,
            )
        except ValueError:
            continue


def _source(of: random.Random, count: int) -> Key | Header | ColumnOf | None:
    options: dict[str, object] = {"dtype": of.choice([None, *DTYPES])}
    if of.random() < 0.4:
        options["classes"] = of.choice(NAMES)
    match of.randrange(4):
        case 0:
            return None
        case 1:
            return Key(**options)
        case 2:
            return Header("h", **options)
        case _:
            return ColumnOf(of.randrange(count), **options)


def records(of: random.Random, decode: CsvDecoder) -> Chunk:
    """Records for a decoder, of which some have faults."""
    sources = decode._targets.values()
    columns: list[Key | Header | ColumnOf | None] = [None] * (decode.plan().columns or 1)
    for what, place in decode._target_numbers.items():
        columns[place] = decode._targets[what]
    key = [next((each for each in sources if isinstance(each, Key)), None)]
    header = [next((each for each in sources if isinstance(each, Header)), None)]
    # All rows right, few odd ones among them, or many.
    odd = of.choice([0, 0, 0.02, 0.3])
    return fill(
        message(
            _row(of, columns, odd),
            _row(of, key, odd),
            offset=offset,
            headers=[("h", _row(of, header, odd))] if of.random() >= odd / 4 else [],
        )
        for offset in range(of.choice([1, 2, 5, 40, 40, 200]))
    )


def _row(
    of: random.Random, columns: list[Key | Header | ColumnOf | None], odd: float
) -> bytes | None:
    if of.random() < odd / 4:
        return of.choice([None, b"", b" ", b"\r\n", of.randbytes(of.randrange(20))])
    if of.random() < odd / 4:
        columns = of.choice([columns[1:], [*columns, None]])
    row = b",".join(_field(of, source, odd) for source in columns)
    for _ in range(3):
        if of.random() < odd / 8:
            place = of.randrange(len(row) + 1)
            row = row[:place] + of.choice(ODD) + row[place + of.randrange(2) :]
    return row + of.choice([b"", b"", b"\n", b"\r\n", b"\r"] if of.random() < odd else [b""])


def _field(of: random.Random, source: Key | Header | ColumnOf | None, odd: float) -> bytes:
    if of.random() < odd / 4:
        text = of.choice([b"", *SPECIAL.encode().split(), number(of), whole(of)])
    elif source is None or (source.classes is None and source.spec.dtype.kind == "f"):
        text = of.choice([number, number, whole])(of)
    elif source.classes is None:
        text = whole(of)
    else:
        name = of.choice(source.classes).encode()
        is_column = isinstance(source, ColumnOf)
        return _quoted(name) if is_column and re.search(rb'[",\n]', name) else name
    if of.random() < odd:
        text = of.choice([b"", b" ", b"\t", b"\n"]) + text + of.choice([b"", b" ", b"\v\f", b"\r"])
    return _quoted(text) if of.random() < odd else text


def _quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b'"', b'""') + b'"'


def whole(of: random.Random) -> bytes:
    """A whole number as text, most of them small."""
    size = of.choice([of.randint(0, 99), of.randint(0, 99), of.choice(WHOLE) + of.randint(-1, 1)])
    return f"{of.choice(['', '-', '+'])}{'0' * of.choice([0, 0, 0, 20])}{abs(size)}".encode()


def number(of: random.Random) -> bytes:
    """A number as text."""
    value = np.uint32(of.getrandbits(32)).view(np.float32)
    value = value if np.isfinite(value) else np.float32(of.uniform(-9, 9))
    match of.randrange(6):
        case 0:
            text = f"{value:.18e}"
        case 1:
            # Just off the middle between two numbers.
            middle = (float(value) + float(np.nextafter(value, np.float32(0)))) / 2
            text = f"{middle:.{of.randint(17, 60)}g}"
        case 2:
            digits = "".join(of.choices("0123456789", k=of.choice([3, 18, 19, 20, 25, 800])))
            place = of.randrange(len(digits) + 1)
            text = f"{digits[:place]}.{digits[place:]}e{of.randint(-50, 38)}"
        case _:
            text = repr(float(value))
    return text.encode()


def of_buffers(chunk: Chunk) -> Chunk:
    """The same records, in columns of one buffer each that begin within it."""

    def column(entries: Column) -> Column:
        longer = Column(np.concatenate([np.array([b'",x\n'], object), entries.entries]))
        return Column.of_buffer(longer.buffer, longer.offsets, longer.nulls)[1:]

    values, keys = column(chunk.values), column(chunk.keys)
    return Chunk(
        values, keys, chunk.sources, chunk.source, chunk.offsets, chunk.timestamps, chunk.headers
    )


@contextlib.contextmanager
def without_library() -> Iterator[None]:
    with mock.patch.object(native, "library", lambda: None):
        yield


def assert_same(decode: CsvDecoder, chunk: Chunk) -> Decoded:
    """Decode records natively and by polars, and compare each bit and each reason."""
    with without_library():
        expected = decode.decode(chunk)
    for records in (chunk, of_buffers(chunk)):
        found = decode.decode(records)
        assert found.faults == expected.faults, (decode, chunk.values.entries)
        np.testing.assert_array_equal(found.kept, expected.kept)
        assert len(found.arrays) == len(expected.arrays)
        for one, other in zip(found.arrays, expected.arrays, strict=True):
            is_dict = isinstance(other, Mapping)
            pairs = [(one[name], other[name]) for name in other] if is_dict else [(one, other)]
            for array, wanted in pairs:
                assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
                assert array.tobytes() == wanted.tobytes(), (decode, chunk.values.entries)
    return expected
