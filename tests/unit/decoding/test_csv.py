"""CSV records to float32 matrices."""

import gzip
import re
import zlib

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.chunk import Column
from tfkafka.decoding.base import only_finite
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.numbers import parse_rows

pytestmark = pytest.mark.usefixtures("parser")

GOOD = b"1,2.5,-3e2"
MISPLACED = "has a quote or a line end in the wrong place"
BAD = [
    (b"1,2", "has 2 columns instead of 3"),
    (b"1,2,3,4", "has 4 columns instead of 3"),
    (b"1,2,3,", "has 4 columns instead of 3"),
    (b"1,,3", "column 1 (from 0) is empty"),
    (b"1,2,", "column 2 (from 0) is empty"),
    (b"1,two,3", "column 1 (from 0) is not a number: b'two'"),
    (b"hello", "has 1 columns instead of 3"),
    (b"", "is empty"),
    (b" ", "is empty"),
    (b"\r\n", "is empty"),
    (None, "is null"),
    (b"1,2,3\n4,5,6", f"column 2 (from 0) {MISPLACED}: b'3\\n4,5,6'"),
    (b"1\n,2,3", f"column 0 (from 0) {MISPLACED}: b'1\\n,2,3'"),
    (b"1,2\n3", f"column 1 (from 0) {MISPLACED}: b'2\\n3'"),
    (b'"1,2",3', "has 2 columns instead of 3"),
    (b'"1,2",3,4', "column 0 (from 0) is not a number: b'1,2'"),
    (b'"1\n2",3,4', "column 0 (from 0) is not a number: b'1\\n2'"),
    (b'"1,2,3"', "has 1 columns instead of 3"),
    (b'"1""2",2,3', "column 0 (from 0) is not a number: b'1\"2'"),
    (b'1,"2,3', f"column 1 (from 0) {MISPLACED}: b'\"2,3'"),
    (b'1,2"2",3', f"column 1 (from 0) {MISPLACED}: b'2\"2\",3'"),
    (b' "1",2,3', f"column 0 (from 0) {MISPLACED}: b' \"1\",2,3'"),
    (b'1,"",3', "column 1 (from 0) is empty"),
    (b"1, ,3", "column 1 (from 0) is empty"),
    (b'"', f"column 0 (from 0) {MISPLACED}: b'\"'"),
    (b"1,2,3\x00", "column 2 (from 0) is not a number: b'3\\x00'"),
    (b"\xff\xfe,2,3", "column 0 (from 0) is not a number: b'\\xff\\xfe'"),
    (b"\xef\xbb\xbf1,2,3", "column 0 (from 0) is not a number: b'\\xef\\xbb\\xbf1'"),
    (gzip.compress(b"1,2,3", mtime=0), ""),
    (zlib.compress(b"1,2,3"), ""),
    (b"1;2;3", "has 1 columns instead of 3"),
    (b"0x10,2,3", "column 0 (from 0) is not a number: b'0x10'"),
]


def test_features_and_labels():
    decoded = CsvDecoder(3, label="key").decode(chunk([GOOD, b"4,5,6"], [b"1.0", b"0.0"]))
    features, labels = decoded.arrays
    assert features.dtype == labels.dtype == np.float32
    assert features.tolist() == [[1, 2.5, -300], [4, 5, 6]]
    assert labels.tolist() == [1, 0]
    assert decoded.kept.tolist() == [0, 1]
    assert decoded.faults == ()


def test_without_a_label_keys_do_not_matter():
    decoded = CsvDecoder(3).decode(chunk([GOOD], [b"no number"]))
    assert len(decoded.arrays) == 1 and decoded.faults == ()


@pytest.mark.parametrize(
    "value",
    [
        b'"1","2.5","-3e2"',
        b'1,"2.5",-3e2',
        b'"1"," 2.5\t","-3e2\n"',
        b"1 ,2.5 ,-3e2 ",
        b" 1,\t2.5,\v-3e2\f",
        b"1,2.5,-3e2\n",
        b"1,2.5,-3e2\r\n",
        b'"1","2.5","-3e2"\r\n',
        b"\r\n1,\n2.5,-3e2",
    ],
)
@pytest.mark.parametrize("place", [0, 3])
def test_quotes_blanks_and_line_ends_do_not_matter(value, place):
    values = [GOOD, b"1,2", GOOD]
    values.insert(place, value)
    decoded = CsvDecoder(3, "key").decode(chunk(values, [b'"1"', b"1 ", b"1\n", b"1"]))
    assert [fault.reason for fault in decoded.faults] == ["has 2 columns instead of 3"]
    features, labels = decoded.arrays
    assert features.tolist() == [[1, 2.5, -300]] * 3 and labels.tolist() == [1] * 3


NOT_FINITE = [b"nan", b"NaN", b"inf", b"-inf", b"Infinity", b"1e39", b"-4e38", b'"nan"', b"inf "]


@pytest.mark.parametrize("text", NOT_FINITE)
def test_numbers_that_are_not_finite_are_faults_where_asked_for(text):
    records = chunk([GOOD, b"1,2," + text, b"1", GOOD], [b"0", b"0", b"0", text])
    assert [f.index for f in CsvDecoder(3, "key").decode(records).faults] == [2]
    assert [f.index for f in CsvDecoder(3, "key", finite=False).decode(records).faults] == [2]
    decoded = CsvDecoder(3, "key", finite=True).decode(records)
    shown = text.strip(b'" ')
    assert [(fault.index, fault.reason) for fault in decoded.faults] == [
        (1, f"column 2 (from 0) is not finite as float32: {shown!r}"),
        (2, "has 1 columns instead of 3"),
        (3, f"label: is not finite as float32: {shown!r}"),
    ]
    assert decoded.kept.tolist() == [0] and np.isfinite(decoded.arrays[0]).all()


def test_the_first_column_that_is_not_finite_is_named():
    decoded = CsvDecoder(3, finite=True).decode(chunk([b"1,nan,inf", b"3.4028235e38,1,1"]))
    [fault] = decoded.faults
    assert fault.reason == "column 1 (from 0) is not finite as float32: b'nan'"
    assert fault.kind == "column 1 (from 0) is not finite as float32"


def test_only_finite_decides_what_is_left_open():
    class Own:
        element_spec = ()

        def decode(self, chunk):
            raise NotImplementedError

    own = Own()
    assert only_finite(CsvDecoder(3, "key")) == CsvDecoder(3, "key", finite=True)
    assert only_finite(CsvDecoder(3, finite=False)) == CsvDecoder(3, finite=False)
    assert only_finite(own) is own


def test_an_empty_chunk():
    features, labels = CsvDecoder(3, label="key").decode(chunk([])).arrays
    assert features.shape == (0, 3) and labels.shape == (0,)


@pytest.mark.parametrize(("value", "reason"), BAD)
@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_bad_record_is_found_and_the_others_are_decoded(value, reason, place):
    values = [b"%d,%d,%d" % (i, i, i) for i in range(4)]
    values.insert(place, value)
    decoded = CsvDecoder(3).decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [place]
    assert decoded.faults[0].reason == reason or not reason
    [features] = decoded.arrays
    assert features.tolist() == [[i, i, i] for i in range(4)]
    assert decoded.kept.tolist() == [index for index in range(5) if index != place]


def test_a_line_break_in_one_value_does_not_make_up_for_an_empty_one():
    decoded = CsvDecoder(3).decode(chunk([GOOD + b"\n" + GOOD, b"", GOOD]))
    assert [fault.index for fault in decoded.faults] == [0, 1]
    assert decoded.kept.tolist() == [2]


@pytest.mark.parametrize("key", [None, b"", b"spam", b"1,0"])
def test_a_record_without_a_label_is_a_fault(key):
    decoded = CsvDecoder(3, label="key").decode(chunk([GOOD] * 3, [b"1", key, b"0"]))
    assert [fault.index for fault in decoded.faults] == [1]
    assert decoded.faults[0].reason.startswith("label: ")
    features, labels = decoded.arrays
    assert features.shape == (2, 3) and labels.tolist() == [1, 0]


def test_many_bad_records_are_each_reported_once():
    values = [b"1,2" if index % 3 else GOOD for index in range(300)]
    decoded = CsvDecoder(3).decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [i for i in range(300) if i % 3]
    assert len(decoded.kept) == 100


def test_equal_bit_by_bit_to_tensorflows_decode_csv():
    tf = pytest.importorskip("tensorflow")
    random = np.random.default_rng(7)
    bits = random.integers(0, 2**32, 30_000, dtype=np.uint32).view(np.float32)
    # TensorFlow alone takes subnormal numbers for 0.
    normal = bits[np.isfinite(bits) & (np.abs(bits) > np.finfo(np.float32).tiny)]
    floats = normal[:27_000].astype(np.float64)
    texts = [f"{number:.18e}" for number in floats]
    # Just off the middle between two float32: who rounds to float64 first, rounds these wrongly.
    below = np.nextafter(normal[:9_000], np.float32(0)).astype(np.float64)
    texts += [f"{middle:.20e}" for middle in (floats[:9_000] + below) / 2]
    texts += ["nan", "inf", "-inf", "1e400", "1e-60", "+.5", "5.", "-0", "1E3"]
    rows = [",".join(texts[i : i + 3]).encode() for i in range(0, len(texts), 3)]
    expected = np.stack(tf.io.decode_csv(rows, [0.0] * 3), axis=1)
    decoded = CsvDecoder(3).decode(chunk(rows))
    assert decoded.faults == ()
    [features] = decoded.arrays
    np.testing.assert_array_equal(features.view(np.uint32), expected.view(np.uint32))


def odd_rows(count):
    """Rows of about two fields, with quotes, blanks and line ends in right and wrong places."""
    random = np.random.default_rng(11)
    bits = random.integers(0, 2**32, 50, dtype=np.uint32).view(np.float32)
    numbers = [f"{number:.9g}".encode() for number in bits]
    numbers += [b"7", b"-0", b"1e39", b"nan", b"", b"x", b"1 2", b"1_0", b".", b'1"', b"nanx"]
    around = [b""] * 6 + [b" ", b"\t", b"\v", b"\n", b"\r", b" \r\n", b'"', b'""']
    fields = [
        b"".join(random.choice(each) for each in (around, numbers, around)) for _ in range(count)
    ]
    fields += [b'"' + field + b'"' for field in fields]
    return [
        b",".join(random.choice(fields, random.choice([1, 2, 2, 2, 2, 3]))) for _ in range(count)
    ]


def test_what_tensorflow_accepts_is_accepted_with_the_same_bits():
    tf = pytest.importorskip("tensorflow")
    rows = [b'"1","2"', b"1 ,2 ", b'" 1 ",2', b"\n1,2", b"1,\n2", b'1,\r"2"', *odd_rows(600)]
    features, bad = parse_rows(Column.of(rows, len(rows)), 2)
    compared = 0
    for index, row in enumerate(rows):
        if index not in bad:
            # Line ends after a number are accepted in addition.
            row = re.sub(rb"[\r\n]+(?=,|\Z)", b"", row)
        try:
            parts = tf.io.decode_csv([row], [tf.constant([], tf.float32)] * 2)
        except tf.errors.InvalidArgumentError:
            assert index in bad, row
            continue
        if not all(field.strip(b'"\t\r\n\v ') for field in row.split(b",")):
            # TensorFlow reads a blank field as 0.
            assert index in bad, row
            continue
        assert index not in bad, row
        expected, found = np.concatenate(parts), features[index].copy()
        # TensorFlow alone takes subnormal numbers for 0, and keeps the sign of a nan.
        found[np.abs(found) < np.finfo(np.float32).tiny] *= 0
        same = (found.view(np.uint32) == expected.view(np.uint32)) | np.isnan(found + expected)
        assert same.all(), row
        compared += 1
    assert compared > 100


@pytest.mark.parametrize("arguments", [{"columns": 0}, {"columns": 3, "label": "value"}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="CsvDecoder"):
        CsvDecoder(**arguments)
