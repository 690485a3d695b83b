"""What is public says what it does, how it is used, and of which types it is."""

from __future__ import annotations

import ast
import inspect
import typing

import keras
import pytest

from tests.public import MODULES, examples, public_methods, public_objects

OBJECTS = {
    f"{module}.{name}": each for module in MODULES for name, each in public_objects(module).items()
}


def functions(of: object) -> dict[str, object]:
    """What of a public name is called: itself, or its constructor and its methods."""
    if not inspect.isclass(of):
        return {"": of}
    # Nobody makes an object of a protocol.
    is_made = "__init__" in vars(of) and not getattr(of, "_is_protocol", False)
    own = {"__init__": of.__init__} if is_made else {}
    return own | public_methods(of)


def test_all_public_names_are_looked_at():
    names = [name.rpartition(".")[2] for name in OBJECTS]
    assert {"KafkaDataset", "write", "InferenceJob", "learn", "wait_for", "IODataset"} <= set(names)
    assert len(OBJECTS) >= 30


@pytest.mark.parametrize("name", OBJECTS)
def test_a_docstring_has_an_example_of_its_use(name):
    codes = examples(OBJECTS[name])
    assert codes, "no example"
    for code in codes:
        ast.parse(code)


@pytest.mark.parametrize("name", OBJECTS)
def test_each_method_has_a_docstring(name):
    # What Keras calls is described by Keras.
    hooks = vars(keras.callbacks.Callback)
    bare = [
        method
        for method, function in public_methods(OBJECTS[name]).items()
        if not function.__doc__ and method not in hooks
    ]
    assert not bare


@pytest.mark.parametrize("name", OBJECTS)
def test_each_argument_and_result_has_a_type(name):
    for what, function in functions(OBJECTS[name]).items():
        hints = typing.get_type_hints(function, localns={"keras": keras})
        names = [each for each in inspect.signature(function).parameters if each != "self"]
        names = [each for each in names if each != "cls"]
        names += [] if what == "__init__" else ["return"]
        assert set(names) <= hints.keys(), what


@pytest.mark.parametrize("name", OBJECTS)
def test_the_types_of_fields_can_be_found_at_run_time(name):
    each = OBJECTS[name]
    fields = getattr(each, "__dataclass_fields__", None) or getattr(each, "_fields", ())
    assert set(fields) <= (typing.get_type_hints(each).keys() if fields else set())
