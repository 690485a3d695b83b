"""The public names of tfkafka, and the examples in their docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from types import ModuleType

MODULES = (
    "tfkafka",
    "tfkafka.config",
    "tfkafka.exactly_once",
    "tfkafka.online",
    "tfkafka.testing",
    "tfkafka.tfio",
    "tfkafka.tfio.kafka",
    "tfkafka.tfio.experimental.serialization",
    "tfkafka.tfio.experimental.streaming",
)
EXAMPLE = re.compile(r"^Example:\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)


def public_objects(module: str) -> dict[str, type]:
    """The classes and functions that a module exports, by name."""
    home = importlib.import_module(module)
    found = {name: getattr(home, name) for name in home.__all__}
    return {name: each for name, each in found.items() if not isinstance(each, str | ModuleType)}


def public_methods(of: object) -> dict[str, object]:
    """The methods and properties of a class that tfkafka defines, without those of its parents."""
    if not inspect.isclass(of):
        return {}
    return {
        name: getattr(each, "fget", None) or getattr(each, "__func__", each)
        for name, each in vars(of).items()
        if not name.startswith("_")
        and (inspect.isfunction(each) or isinstance(each, property | classmethod | staticmethod))
    }


def examples(of: object) -> list[str]:
    """The code after each "Example:" of a docstring."""
    text = inspect.getdoc(of) or ""
    return [textwrap.dedent(code).strip() for code in EXAMPLE.findall(text + "\n")]
