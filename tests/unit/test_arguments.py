"""Every argument of every public call is checked when it is given, in one line with its name."""

from __future__ import annotations

import inspect
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.arguments import CALLS, NO_CALLS, TRIED, Outcome, may_be_right
from tests.public import MODULES, public_methods, public_objects

ARGUMENTS = [(call, name) for call, each in CALLS.items() for name in each.arguments()]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.datetimes(),
    st.builds(object),
)
ANYTHING = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.sets(st.one_of(st.none(), st.floats(), st.binary(max_size=5)), max_size=3),
    st.dictionaries(st.one_of(st.integers(), st.text(max_size=5)), SCALARS, max_size=3),
)


def tried(call: str, name: str, value: object) -> Outcome:
    """Call with one wrong argument; again where it took long, since the machine may be busy."""
    for _ in range(2):
        outcome = Outcome(call, name, value)
        began = time.monotonic()
        try:
            CALLS[call](**{name: value})
        except Exception as error:
            outcome.error = error
        outcome.seconds = time.monotonic() - began
        if outcome.is_in_time():
            break
    return outcome.judge()


def test_every_public_call_is_tried():
    names = set()
    for module in MODULES:
        for name, each in public_objects(module).items():
            called = {name: each} | {
                f"{name}.{method}": function for method, function in public_methods(each).items()
            }
            names |= {name for name, function in called.items() if _takes_arguments(function)}
    known = {name.rpartition(".")[2] for name in (*CALLS, *NO_CALLS)}
    assert {name for name in names if name.rpartition(".")[2] not in known} == set()


def _takes_arguments(function: object) -> bool:
    return callable(function) and bool(
        set(inspect.signature(function).parameters) - {"self", "cls"}
    )


@pytest.mark.parametrize("call", CALLS)
def test_wrong_values_are_refused(call, record_property):
    outcomes = [
        tried(call, name, value)
        for name, annotation in CALLS[call].arguments().items()
        for value in TRIED
        if not may_be_right(call, name, annotation, value)
    ]
    record_property("wrong arguments tried", len(outcomes))
    wrong = [str(outcome) for outcome in outcomes if outcome.faults]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(outcomes)}:", *wrong])


@settings(
    max_examples=2000,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(st.sampled_from(ARGUMENTS), ANYTHING)
def test_whatever_is_wrong_is_refused(argument, value):
    call, name = argument
    if may_be_right(call, name, CALLS[call].arguments()[name], value):
        return
    outcome = tried(call, name, value)
    assert not outcome.faults, str(outcome)
