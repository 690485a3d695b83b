"""Protocol Buffers' messages to arrays."""

from __future__ import annotations

import sys
from math import nan

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MessageOptions
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decoding import protobuf_samples as samples
from tests.unit.decoding.protobuf_samples import EVENT, JET, classes, field, framed, message
from tests.unit.messages import chunk
from tests.unit.properties import few
from tfkafka.decoding.base import ArraySpec, only_finite
from tfkafka.decoding.cursors import varint
from tfkafka.decoding.plan import DecoderPlan, FieldPlan
from tfkafka.decoding.protobuf import ProtobufDecoder
from tfkafka.decoding.sources import Field, Header, Key
from tfkafka.errors import ConfigurationError
from tfkafka.reading.manifest import describe_decoder

Event, Jet = classes(EVENT, JET)
ROW = {
    "run": "run 7",
    "met": 1.5,
    "n": 300,
    "jet": Jet(x=-2, tagged=True),
    "kind": 1,
    "hits": [1, 2],
    "name": "muon",
    "counts": [-1, 100],
}
FIELDS = [
    *("met", Field("n", dtype="int64"), "jet.x", "jet.tagged", Field("hits", shape=(2,))),
    Field("name", classes=["electron", "muon"]),
    Field("counts", shape=(2, 1), dtype="int32"),
]
DECODE = ProtobufDecoder(
    FIELDS, label=Field("kind", classes=["a", "b"]), finite=True, features="dict", message=Event
)


def right(**others) -> bytes:
    return Event(**ROW | others).SerializeToString()


def without(*names) -> bytes:
    row = {name: each for name, each in ROW.items() if name not in names}
    return Event(**row).SerializeToString()


GOOD = right()
BAD = [
    (None, "is null"),
    (GOOD[:-1], f"is no message {Event.DESCRIPTOR.full_name}: b'"),
    (GOOD + b"\0", f"is no message {Event.DESCRIPTOR.full_name}: b'"),
    (b"\xff" * 40, f"is no message {Event.DESCRIPTOR.full_name}: b'\\xff"),
    (right(run="spam").replace(b"spam", b"spa\xff"), "is no message"),
    (right(met=nan), "field \"met\" is not finite as float32: b'NaN'"),
    (right(met=1e39), "field \"met\" is not finite as float32: b'1e+39'"),
    (without("n"), 'field "n" is missing'),
    (without("jet"), 'field "jet.x" is missing'),
    (right(kind=5), 'label: field "kind" is none of the classes: b\'"c"\''),
    (right(kind=7), "label: field \"kind\" is a number, not the name of a class: b'7'"),
    (right(name="tau"), 'field "name" is none of the classes: b\'"tau"\''),
    (without("name"), 'field "name" is none of the classes: b\'""\''),
    (right(hits=[1]), 'field "hits" is not an array of shape (2,)'),
    (right(counts=[1, 2, 3]), 'field "counts" is not an array of shape (2,)'),
    (right(hits=[]), 'field "hits" is missing'),
]


def test_matrix_and_dict():
    other = right(met=-1, n=-(2**62), kind=0, jet=Jet(x=0.5), counts=[2**31 - 1, -(2**31)])
    decoded = DECODE.decode(chunk([GOOD, other]))
    features, labels = decoded.arrays
    assert decoded.faults == () and labels.tolist() == [1, 0] and labels.dtype == np.int64
    assert features["n"].tolist() == [300, -(2**62)] and features["n"].dtype == np.int64
    assert features["hits"].tolist() == [[1, 2]] * 2 and features["jet.tagged"].tolist() == [1, 0]
    assert features["counts"].tolist() == [[[-1], [100]], [[2**31 - 1], [-(2**31)]]]
    assert DECODE.element_spec[0]["counts"] == ArraySpec((2, 1), np.dtype(np.int32))
    matrix = ProtobufDecoder(FIELDS, "key", message=Event, sample_weight=Key())
    assert matrix.element_spec[0] == ArraySpec((9,), np.dtype(np.float32))
    features, labels, weights = matrix.decode(chunk([GOOD, GOOD], [b"3", b"4"])).arrays
    assert features.tolist() == [[1.5, 300, -2, 1, 1, 2, 1, -1, 100]] * 2
    assert labels.tolist() == weights.tolist() == [3, 4]


@pytest.mark.parametrize(("value", "reason"), BAD, ids=[reason for _, reason in BAD])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_bad_record_is_found_and_the_others_are_decoded(value, reason, place):
    values = [right(n=number) for number in range(3)]
    values.insert(place, value)
    decoded = DECODE.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [place]
    assert decoded.faults[0].reason.startswith(reason)
    assert len(decoded.faults[0].reason) < 200
    assert decoded.arrays[0]["n"].tolist() == [0, 1, 2] and len(decoded.arrays[1]) == 3
    assert decoded.kept.tolist() == [index for index in range(4) if index != place]


def test_all_of_a_chunk_and_none():
    for values in ([b"spam"] * 3, [None] * 3, []):
        for framing in (None, "confluent"):
            decode = ProtobufDecoder(
                [Field("hits", shape=(2,))], label=Field("n"), message=Event, framing=framing
            )
            decoded = decode.decode(chunk(values))
            assert len(decoded.faults) == len(values)
            assert [array.shape for array in decoded.arrays] == [(0, 2), (0,)]


def test_an_empty_value_is_a_message():
    decode = ProtobufDecoder(["met"], label=Field("kind", classes=["b", "a"]), message=Event)
    features, labels = decode.decode(chunk([b"", GOOD, b""])).arrays
    assert features.tolist() == [[0], [1.5], [0]] and labels.tolist() == [1, 0, 1]


def test_missing_values():
    values = [GOOD, without("n"), without("jet"), right(hits=[]), right(met=nan)]
    fields = ["met", "n", "jet.x", Field("hits", shape=[2])]
    decode = ProtobufDecoder(fields, finite=True, missing="nan", message=Event)
    decoded = decode.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [4]
    expected = [[1.5, 300, -2, 1, 2], [1.5, nan, -2, 1, 2], [1.5, 300, nan, 1, 2]]
    np.testing.assert_array_equal(decoded.arrays[0], [*expected, [1.5, 300, -2, nan, nan]])
    numbers = ProtobufDecoder(["n", "jet.x"], missing={"n": -1}, features="dict", message=Event)
    decoded = numbers.decode(chunk(values[:3]))
    assert [fault.reason for fault in decoded.faults] == ['field "jet.x" is missing']
    assert decoded.arrays[0]["n"].tolist() == [300, -1]
    assert numbers.decode(chunk([without("n")])).absent == {'field "n"'}
    assert numbers.decode(chunk([without("n"), GOOD])).absent == frozenset()
    implicit = ProtobufDecoder(["met"], missing={"met": -1}, message=Event)
    decoded = implicit.decode(chunk([without("met")]))
    assert decoded.arrays[0].tolist() == [[0]] and decoded.absent == frozenset()


def test_a_label_is_never_missing():
    decode = ProtobufDecoder(["met"], Field("n"), message=Event, missing="nan")
    decoded = decode.decode(chunk([GOOD, without("n")]))
    assert [fault.reason for fault in decoded.faults] == ['label: field "n" is missing']


ONE = message(
    "One",
    field("a", 1, "int32", oneof_index=0),
    field("b", 2, "int32", oneof_index=0),
    field("c", 3, "int32"),
    oneof_decl=[{"name": "which"}],
)


[One] = classes(ONE)


def test_a_oneof_has_its_last_field():
    a, b = One(a=5).SerializeToString(), One(b=0).SerializeToString()
    decode = ProtobufDecoder(["a", "b"], message=One, missing="nan")
    decoded = decode.decode(chunk([a, b, a + b, b + a, One(c=1).SerializeToString()]))
    expected = [[5, nan], [nan, 0], [nan, 0], [5, nan], [nan, nan]]
    np.testing.assert_array_equal(decoded.arrays[0], expected)
    # The other one is not wanted, and clears this one nevertheless.
    decoded = ProtobufDecoder(["a"], message=One, missing="nan").decode(chunk([a, a + b]))
    np.testing.assert_array_equal(decoded.arrays[0], [[5], [nan]])


OLD = message(
    "Old",
    field("x", 1, "float", default_value="2.5"),
    field("y", 2, "float"),
    field("kind", 3, "Kind", default_value="c"),
    field("many", 4, "int32", repeated=True),
    field("text", 5, "string"),
)


def test_proto2_has_defaults_and_numbers_one_by_one():
    [Old] = classes(OLD, syntax="proto2")
    values = [Old(many=[1, 2]), Old(x=1, y=0, kind=1, many=[3, 4])]
    values = [each.SerializeToString() for each in values]
    fields = ["x", "y", Field("many", shape=[2])]
    label = Field("kind", classes=["b", "c"])
    decode = ProtobufDecoder(fields, label, message=Old, missing={"y": -1})
    # An unknown number of an enum is an unknown field.
    features, labels = decode.decode(chunk([*values, values[1] + b"\x18\x07"])).arrays
    assert features.tolist() == [[2.5, -1, 1, 2], [1, 0, 3, 4], [1, 0, 3, 4]]
    assert labels.tolist() == [1, 0, 0]
    [kinds] = ProtobufDecoder(["kind"], message=Old).decode(chunk([b"\x18\2", b"\x18\1"])).arrays
    assert kinds.tolist() == [[5], [1]]
    texts = ProtobufDecoder([Field("text", classes=["a"])], message=Old)
    decoded = texts.decode(chunk([b"\x2a\x01\xff", b"\x2a\x01a", b""]))
    assert [fault.index for fault in decoded.faults] == [0, 2]


def test_what_no_serialiser_writes_is_read_as_protobuf_reads_it():
    jet = Jet(x=7).SerializeToString()
    once = Event(jet=Jet(tagged=True), met=1).SerializeToString()
    merged = once + b"\x22" + bytes([len(jet)]) + jet
    later = Event(met=3).SerializeToString()
    unknown = b"\xfa\x3f\x03abc"
    long_number = b"\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
    long_tag = b"\x92\x00\x02ab"
    values = [once, merged, merged + later, unknown + once + unknown, once + long_tag]
    decode = ProtobufDecoder(["met", "jet.x", "jet.tagged", "kind"], message=Event)
    decoded = decode.decode(chunk([*values, once + long_number]))
    assert decoded.faults == ()
    assert decoded.arrays[0].tolist() == [
        *([1, 0, 1, 0], [1, 7, 1, 0], [3, 7, 1, 0]),
        *([1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, -1]),
    ]


@pytest.mark.parametrize("kind", ["int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool"])
def test_numbers_of_too_many_bits_are_read_as_protobuf_reads_them(kind):
    [Row] = classes(message("Row", field("n", 1, kind), field("many", 2, kind, repeated=True)))
    for number in (2, 2**31, 2**32 + 5, 2**63, 2**64 - 1):
        body = varint(number)
        value = b"\x08" + body + b"\x12" + bytes([len(body)]) + body
        decode = ProtobufDecoder(["n", Field("many", shape=[1])], message=Row)
        expected = np.array([[Row.FromString(value).n]], np.float64).astype(np.float32)
        np.testing.assert_array_equal(
            decode.decode(chunk([value])).arrays[0], expected.repeat(2, 1)
        )


def test_a_length_that_is_not_that_of_the_values():
    # As long as two values: one, and two unknown fields.
    value = Event(hits=[1]).SerializeToString() + b"\x7d\0\0\0\0\x70\x80\1"
    decode = ProtobufDecoder([Field("hits", shape=[2])], message=Event)
    assert len(decode.decode(chunk([value])).faults) == 1


def test_what_is_not_wanted_may_be_anything_that_protobuf_takes():
    entry = message("TagsEntry", field("key", 1, "string"), field("value", 2, "int32"))
    entry.options.CopyFrom(MessageOptions(map_entry=True))
    tree = message(
        "Tree",
        field("x", 1, "float"),
        field("below", 2, "Tree"),
        field("tags", 3, "Tree.TagsEntry", repeated=True),
        field("others", 4, "Tree", repeated=True),
        field("y", 5, "float"),
        nested_type=[entry],
    )
    [Tree] = classes(tree)
    inner = Tree(x=1, tags={"ä": 1, "b": 2}, below=Tree(x=5, below=Tree(x=9)))
    value = Tree(x=2, y=3, below=inner, others=[inner, inner]).SerializeToString()
    decode = ProtobufDecoder(["x", "y", "below.below.x"], message=Tree)
    decoded = decode.decode(chunk([value, value.replace("ä".encode(), b"\xff\xff")]))
    assert decoded.arrays[0].tolist() == [[2, 3, 5]]
    assert [fault.index for fault in decoded.faults] == [1]


def test_faults_that_cancel_out():
    """What one record lacks, the next one has too much."""
    [Pair] = classes(message("Pair", field("a", 1, "float"), field("b", 2, "float")))
    rows = [Pair(a=each + 1, b=each + 1.5).SerializeToString() for each in range(4)]
    values = [rows[0], rows[1][:-3], rows[1][-3:] + rows[2], rows[3]]
    decoded = ProtobufDecoder(["a", "b"], message=Pair).decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [1, 2]
    assert decoded.arrays[0].tolist() == [[1, 1.5], [4, 4.5]]
    # The end of a record is no beginning of a field.
    halves = [Pair(a=1).SerializeToString(), Pair(b=2).SerializeToString()]
    decoded = ProtobufDecoder(["a", "b"], message=Pair).decode(chunk(halves))
    assert decoded.arrays[0].tolist() == [[1, 0], [0, 2]]


def test_whole_numbers_are_whole_and_fit():
    [Row] = classes(message("Row", field("n", 1, "uint64"), field("x", 2, "double")))
    values = [Row(n=2**63, x=1), Row(n=2**63 - 1, x=1.5), Row(n=1, x=2.0**31), Row(n=5, x=-3)]
    values = [each.SerializeToString() for each in values]
    fields = [Field("n", dtype="int64"), Field("x", dtype="int32")]
    decoded = ProtobufDecoder(fields, message=Row, features="dict").decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [0, 1, 2]
    assert decoded.faults[0].reason == f"field \"n\" is beyond int64: b'{2**63}'"
    assert decoded.arrays[0]["x"].tolist() == [-3]
    [features] = ProtobufDecoder(["n"], message=Row).decode(chunk(values[:1])).arrays
    assert features.tolist() == [[2.0**63]]


def test_only_finite_decides_what_is_left_open():
    records = chunk([right(met=np.inf)])
    assert ProtobufDecoder(["met"], message=Event).decode(records).faults == ()
    assert len(only_finite(ProtobufDecoder(["met"], message=Event)).decode(records).faults) == 1


# Confluent's framing

X = field("x", 1, "float")
INNER = message("Inner", X, nested_type=[message("Deep", X)])
OUTER = message("Outer", X, nested_type=[message("First"), INNER])
First, Second, Outer = classes(message("First", X), message("Second"), OUTER)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (First, [[0], [2, 0]], [[2, 2], [4, 0, 0]]),
        (Outer, [[2, 4]], [[0], [2, 0], [2, 6], [1, 2]]),
        (Outer.Inner, [[4, 4, 2]], [[0], [2, 4], [4, 4, 0], [6, 4, 2, 0]]),
        (Outer.Inner.Deep, [[6, 4, 2, 0]], [[4, 4, 2], [0]]),
    ],
)
def test_the_message_indexes_are_those_of_the_message(kind, right, wrong):
    body = kind(x=1.5).SerializeToString()
    values = [framed(each, body) for each in [*right, *wrong, *right]]
    decode = ProtobufDecoder(["x"], message=kind, framing="confluent")
    decoded = decode.decode(chunk(values))
    bad = range(len(right), len(right) + len(wrong))
    assert [fault.index for fault in decoded.faults] == [*bad]
    assert decoded.arrays[0].tolist() == [[1.5]] * 2 * len(right)
    path = [each // 2 for each in right[-1][1:]]
    reason = f"is not {kind.DESCRIPTOR.full_name}: its message indexes are not {path}: b"
    assert all(fault.reason.startswith(reason) for fault in decoded.faults)


def test_what_is_not_framed():
    body = First(x=1).SerializeToString()
    values = [None, b"", b"\0\0\0\0", b"\0\0\0\0\7", b"\1\0\0\0\7\0" + body, body]
    values += [framed(*each) for each in (([0], body), ([2], b""), ([0], b""), ([0], body + b"\7"))]
    decoded = ProtobufDecoder(["x"], message=First, framing="confluent").decode(chunk(values))
    kinds = {fault.index: fault.kind for fault in decoded.faults}
    name, foreign = First.DESCRIPTOR.full_name, "is not in Confluent's wire format"
    other = f"is not {name}: its message indexes are not [0]"
    assert kinds == {
        **{0: "is null", 1: "is empty", 2: foreign, 3: other, 4: foreign, 5: foreign},
        **{7: other, 9: f"is no message {name}"},
    }
    assert decoded.arrays[0].tolist() == [[1], [0]]


# Against protobuf itself


def number(value, dtype):
    """What a value becomes, or None where it does not fit."""
    if dtype == "float32":
        with np.errstate(over="ignore"):
            return np.float32(float(value))
    limits = np.iinfo(dtype)
    is_whole = not isinstance(value, float) or value.is_integer()
    return np.array(int(value), dtype) if is_whole and limits.min <= value <= limits.max else None


PLAIN, OPTIONAL, REPEATED, IN_ONEOF = "plain", "optional", "repeated", "oneof"


@st.composite
def kinds_and_rows(draw):
    """A class, the names of its fields that are numbers, and messages of it."""
    syntax = draw(st.sampled_from(["proto2", "proto3"]))
    fields, rows = [], {}
    for place in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from([*samples.TYPES, "Inner"]))
        how = draw(st.sampled_from([PLAIN, OPTIONAL, REPEATED, IN_ONEOF]))
        name, number = f"f{place}", draw(st.integers(1, 15)) * 5 + place
        others = {"repeated": how == REPEATED}
        if how == IN_ONEOF:
            others["oneof_index"] = 0
        elif how == OPTIONAL and syntax == "proto3":
            others["proto3_optional"] = True
        fields.append(field(name, number, kind, **others))
        values = samples.TYPES.get(kind, st.fixed_dictionaries({}, optional={"x": samples.INT32}))
        rows[name] = st.lists(values, max_size=3) if how == REPEATED else values
    inner = message("Inner", field("x", 1, "sint64", oneof_index=0), oneof_decl=[{"name": "only"}])
    has_oneof = any(each.HasField("oneof_index") for each in fields)
    outer = message("Outer", *fields, oneof_decl=[{"name": "some"}] if has_oneof else [])
    kind, _ = classes(outer, inner, syntax=syntax)
    many = draw(st.lists(st.fixed_dictionaries({}, optional=rows), max_size=8))
    return kind, [kind(**row).SerializeToString() for row in many]


def numbers_of(kind) -> list[tuple[str, bool]]:
    """The names of the fields that may be asked for, and whether each is repeated."""
    found = []
    for each in kind.DESCRIPTOR.fields:
        repeated = hasattr(getattr(kind(), each.name), "append")
        if each.message_type is not None:
            if not repeated:
                found.append((f"{each.name}.x", False))
        elif each.type not in (each.TYPE_STRING, each.TYPE_BYTES):
            found.append((each.name, repeated))
    return found


def expected_of(kind, value, name, dtype):
    """What protobuf reads, None for a bad record; a missing value is "missing"."""
    try:
        read = kind.FromString(value)
    except DecodeError:
        return None
    *outer, last = name.split(".")
    for each in outer:
        if not read.HasField(each):
            return "missing"
        read = getattr(read, each)
    if read.DESCRIPTOR.fields_by_name[last].has_presence and not read.HasField(last):
        return "missing"
    found = getattr(read, last)
    return number(found, dtype)


@given(data=st.data(), dtype=st.sampled_from(["float32", "int32", "int64"]), damage=st.booleans())
@few
def test_equal_bit_by_bit_to_protobuf(data, dtype, damage):
    """Also damaged records: neither an exception nor another verdict."""
    kind, good = data.draw(kinds_and_rows())
    single = [name for name, repeated in numbers_of(kind) if not repeated]
    if not single:
        return
    values = good
    if damage:
        damaged = st.tuples(
            st.sampled_from([*good, b""]), st.integers(0, 30), st.binary(max_size=3)
        ).map(lambda each: each[0][: each[1]] + each[2] + each[0][each[1] + len(each[2]) :])
        joined = st.tuples(st.sampled_from([*good, b""]), damaged).map(b"".join)
        values = data.draw(st.lists(damaged | joined | st.binary(max_size=12), max_size=8))
    name = data.draw(st.sampled_from(single))
    put = 7.0 if data.draw(st.booleans()) else None
    decode = ProtobufDecoder(
        [Field(name, dtype=dtype)],
        message=kind,
        features="dict",
        missing="bad" if put is None else {name: put},
    )
    decoded = decode.decode(chunk(values))
    expected, kept = [], []
    for index, value in enumerate(values):
        found = expected_of(kind, value, name, dtype)
        found = put if isinstance(found, str) else found
        if found is not None:
            expected.append(found)
            kept.append(index)
    assert decoded.kept.tolist() == kept, (values, decoded.faults)
    np.testing.assert_array_equal(decoded.arrays[0][name], np.array(expected, dtype))


@given(
    kind=st.sampled_from(samples.NUMBERS),
    syntax=st.sampled_from(["proto2", "proto3"]),
    data=st.data(),
)
@few
def test_repeated_fields_are_equal_bit_by_bit_to_protobuf(kind, syntax, data):
    [Row] = classes(message("Row", field("many", 20, kind, repeated=True)), syntax=syntax)
    rows = data.draw(st.lists(st.lists(samples.TYPES[kind], min_size=1, max_size=4), max_size=6))
    values = [Row(many=each).SerializeToString() for each in rows]
    cut = data.draw(st.lists(st.integers(0, 20), max_size=3))
    values += [value[:end] for end in cut for value in values[:1]]
    decode = ProtobufDecoder([Field("many", shape=[3])], message=Row)
    decoded = decode.decode(chunk(values))
    expected = []
    for value in values:
        try:
            found = list(Row.FromString(value).many)
        except DecodeError:
            continue
        if len(found) == 3:
            expected.append([number(each, "float32") for each in found])
    np.testing.assert_array_equal(decoded.arrays[0], np.array(expected, np.float32).reshape(-1, 3))


def test_most_records_are_read_together(monkeypatch):
    """Else nobody would notice that all are read one by one."""

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("tfkafka.decoding.protobuf_chunks.read_one", refuse)
    values = [GOOD, right(n=0, run="Jäger"), right(kind=0, met=0), without("run")] * 3
    assert DECODE.decode(chunk(values)).faults == ()
    halves = [One(a=1).SerializeToString(), One(c=2).SerializeToString()]
    decoded = ProtobufDecoder(["a", "c"], message=One, missing="nan").decode(chunk(halves))
    np.testing.assert_array_equal(decoded.arrays[0], [[1, 0], [nan, 2]])
    with pytest.raises(AssertionError):
        DECODE.decode(chunk([right(name="tau")]))


def test_odd_records_become_plain(monkeypatch):
    """One by one they would take a hundred times as long."""

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("tfkafka.decoding.protobuf_chunks.values_by_name", refuse)
    values = [GOOD + b"\xfa\x3f\x01a", GOOD + Event(met=3).SerializeToString(), GOOD]
    decoded = DECODE.decode(chunk(values))
    assert decoded.arrays[0]["met"].tolist() == [1.5, 3, 1.5]
    # Repeated fields that are not wanted.
    assert ProtobufDecoder(["jet.x"], message=Event).decode(chunk(values)).faults == ()


# Arguments


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (["spam"], r'message p\d+.Event does not have the field "spam"'),
        (["jet.spam"], r'message p\d+.Jet does not have the field "spam"'),
        (["jet"], r'field "jet" of p\d+.Event is a message, p\d+.Jet, which is no number'),
        (["met.x"], r'fields has "met.x", and "met" is no message'),
        (["hits.x"], r'fields has "hits.x", and "hits" is repeated'),
        (["hits"], r'field "hits" .* is repeated: give its shape'),
        ([Field("met", shape=[2])], r'"met" .* is not repeated: give it without shape=\(2,\)'),
        (["run"], r'field "run" .* is text: give its classes'),
        ([Field("met", classes=["a"])], r'field "met" .* is a number, which has no classes'),
        (["a..b"], "a name between dots is empty"),
        (["jet", "jet.x"], "given as a value"),
        (["met", "met"], "given twice"),
    ],
)
def test_fields_that_cannot_be_decoded_are_refused(fields, line):
    with pytest.raises(ValueError, match=line) as raised:
        ProtobufDecoder(fields, message=Event)
    assert "\n" not in str(raised.value)


def test_maps_bytes_and_repeated_messages_are_refused():
    entry = message("TagsEntry", field("key", 1, "string"), field("value", 2, "int32"))
    entry.options.CopyFrom(MessageOptions(map_entry=True))
    [Odd] = classes(
        message(
            "Odd",
            field("tags", 1, "Odd.TagsEntry", repeated=True),
            field("raw", 2, "bytes"),
            field("many", 3, "Odd", repeated=True),
            nested_type=[entry],
        )
    )
    for name, line in {
        "tags": "is a map, which cannot be decoded",
        "tags.value": '"tags" is repeated',
        "raw": "is bytes, which cannot be decoded",
        "many": "is repeated, and each is a message",
    }.items():
        with pytest.raises(ValueError, match=line):
            ProtobufDecoder([name], message=Odd)


@pytest.mark.parametrize("given", [None, "Event", Event(), int, FieldDescriptorProto.__mro__[-2]])
def test_other_classes_are_refused(given):
    with pytest.raises(TypeError, match="must be the class of a message that protoc generated"):
        ProtobufDecoder(["met"], message=given)


def test_a_framing_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="framing is 'apicurio', must be"):
        ProtobufDecoder(["met"], message=Event, framing="apicurio")


def test_it_describes_itself():
    decode = ProtobufDecoder(["met", Field("n", dtype="int64")], Header("h"), message=Event)
    assert decode.plan() == DecoderPlan(
        "protobuf",
        (
            FieldPlan("value", "met", "float32", (), "met"),
            FieldPlan("value", "n", "int64", (), "n"),
        ),
        "matrix",
        FieldPlan("header", "h", "float32"),
    )
    assert describe_decoder(decode)["arguments"]["message"].endswith("Event")


def test_without_protobuf_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tfkafka\[protobuf\]'"):
        ProtobufDecoder(["met"], message=Event)
