"""A decoder of one's own, whose results are not what it says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.decoding.bad_records import BadRecords
from tfkafka.decoding.base import ArraySpec, Decoded, Fault, check_decoder, decode_checked
from tfkafka.exactly_once import InferenceJob
from tfkafka.exactly_once.job import predict
from tfkafka.reading.elements import Elements
from tfkafka.reading.prefetch import Prepared

RECORDS = chunk([b"1", b"2", b"3"])
FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)
VECTOR, LABEL = ArraySpec((2,), FLOAT32), ArraySpec((), INT64)
NAMED = {"a": ArraySpec((), FLOAT32), "b": VECTOR}
X, Y, A = np.zeros((3, 2), np.float32), np.zeros(3, np.int64), np.zeros(3, np.float32)
ALL = np.arange(3)


class Own:
    """A decoder with this spec, which returns this."""

    def __init__(self, spec, result):
        self.element_spec, self.result = spec, result

    def decode(self, chunk):
        return self.result


FITTING = [
    ((VECTOR, LABEL), Decoded((X, Y), ALL)),
    ((VECTOR,), Decoded((X[:2],), np.array([0, 2]), (Fault(1, "odd"),))),
    ((VECTOR,), Decoded((X[:0],), ALL[:0], tuple(Fault(each, "odd") for each in (2, 0, 1)))),
    ((NAMED, LABEL), Decoded(({"b": X, "a": A}, Y), ALL)),
    ((ArraySpec((), np.dtype(object)),), Decoded((np.array([b"x", b"y", b"z"]),), ALL)),
]
WRONG = [
    ((VECTOR,), X, "Own returned array(.*), must be a Decoded"),
    ((VECTOR,), None, "Own returned None, must be a Decoded"),
    ((VECTOR, LABEL), Decoded((X,), ALL), "1 arrays, must be a tuple of 2, as element_spec says"),
    ((VECTOR,), Decoded((X, Y), ALL), "2 arrays, must be a tuple of 1"),
    ((VECTOR,), Decoded(X, ALL), "must be a tuple of 1"),
    (
        (VECTOR,),
        Decoded((X[:2],), ALL),
        r"for the features float32 \[2, 2\], must be an array float32 \[3, 2\]: element_spec says",
    ),
    ((VECTOR,), Decoded((A,), ALL), r"for the features float32 \[3\], must be an array"),
    ((VECTOR,), Decoded((X.astype(float),), ALL), r"for the features float64 \[3, 2\], must be"),
    ((VECTOR,), Decoded((X.tolist(),), ALL), r"for the features \[\[0.0, .*, must be an array"),
    ((VECTOR, LABEL), Decoded((X, A), ALL), r"for the label float32 \[3\], must be an array int64"),
    (
        (VECTOR, LABEL, VECTOR),
        Decoded((X, Y, A), ALL),
        r"for the sample weight float32 \[3\], must be an array float32 \[3, 2\]",
    ),
    ((NAMED,), Decoded((X,), ALL), r"must be a dict of the arrays \['a', 'b'\]"),
    ((NAMED,), Decoded(({"a": A},), ALL), r"features \['a'\], must be a dict of the arrays"),
    ((NAMED,), Decoded(({"a": A, "c": X},), ALL), r"features \['a', 'c'\], must be a dict"),
    ((NAMED,), Decoded(({"a": X, "b": X},), ALL), r"features 'a' float32 \[3, 2\], must be"),
    ((VECTOR,), Decoded(({"a": X},), ALL), r"for the features {'a': array.*, must be an array"),
    ((VECTOR,), Decoded((X[:2],), ALL[:2]), "2 records as kept and 0 faults, must be the indices"),
    ((VECTOR,), Decoded((X,), ALL, (Fault(1, "odd"),)), "3 records as kept and 1 faults"),
    ((VECTOR,), Decoded((X[:2],), ALL[:2], (Fault(1, "odd"),)), "each of them once"),
    ((VECTOR,), Decoded((X[:2],), ALL[:2], (Fault(3, "odd"),)), "each of them once"),
    ((VECTOR,), Decoded((X,), ALL[::-1]), "kept ascending"),
    ((VECTOR,), Decoded((X,), np.array([True] * 3)), "must be the indices of all 3 records"),
    ((VECTOR,), Decoded((X,), [[0, 1, 2]]), "must be the indices of all 3 records"),
]


@pytest.mark.parametrize(("spec", "result"), FITTING)
def test_what_fits_is_taken(spec, result):
    check_decoder(Own(spec, result))
    assert decode_checked(Own(spec, result), RECORDS) is result


@pytest.mark.parametrize(("spec", "result", "line"), WRONG)
def test_what_does_not_fit_is_named_in_one_line(spec, result, line):
    own = Own(spec, result)
    with pytest.raises((TypeError, ValueError), match=line) as refusal:
        decode_checked(own, RECORDS)
    assert str(refusal.value).startswith("decode of Own returned ")
    assert "\n" not in str(refusal.value)
    for take in (
        lambda: Elements(own).prepare(RECORDS),
        lambda: Elements(own).columns(Prepared(RECORDS), BadRecords()),
        lambda: predict(InferenceJob(len, own, "t", "p", "g"), RECORDS),
    ):
        with pytest.raises(type(refusal.value), match=line):
            take()


@pytest.mark.parametrize(
    "spec",
    [(), VECTOR, [VECTOR], (VECTOR, None), ({},), ({1: VECTOR},), (VECTOR,) * 4, None, ("x",)],
)
def test_a_spec_that_is_none_is_refused(spec):
    with pytest.raises(TypeError, match=r"element_spec of SimpleNamespace is .*, must be a tuple"):
        check_decoder(SimpleNamespace(element_spec=spec, decode=len))
