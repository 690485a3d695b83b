"""What no room of the house may do."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Message

from tests.unit.messages import MOST_BYTES, Messages, fill, message
from tfkafka.client.fill import PythonFiller

PACKAGE = Path(__file__).parents[2] / "tfkafka"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAY_IMPORT_THE_CLIENT = {
    "decoding/schema_registry.py",
    "testing/brokers/base.py",
    "testing/brokers/rights.py",
}


def imports(tree: ast.AST) -> set[str]:
    """Names of packages that are imported anywhere in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


def test_only_the_client_imports_confluent_kafka():
    importing = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if "confluent_kafka" in imports(ast.parse(path.read_text()))
    }
    assert importing >= MAY_IMPORT_THE_CLIENT
    outside = {name for name in importing if not name.startswith("client/")}
    assert outside == MAY_IMPORT_THE_CLIENT


# librdkafka sends these to a group's coordinator: see client/coordinator.py.
TO_THE_COORDINATOR = {
    "alter_consumer_group_offsets",
    "delete_consumer_group_offsets",
    "delete_consumer_groups",
    "describe_consumer_groups",
    "list_consumer_group_offsets",
}


def test_only_one_module_asks_coordinators():
    asking = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in TO_THE_COORDINATOR
    }
    assert asking == {"client/coordinator.py"}


def everything_held_by(root: object) -> list[object]:
    """All objects that can be reached from this one, but for modules, classes and functions."""
    found, pending = {}, [root]
    while pending:
        each = pending.pop()
        if id(each) in found or isinstance(each, type) or hasattr(each, "__globals__"):
            continue
        found[id(each)] = each
        pending += gc.get_referents(each)
        # NumPy does not tell the collector what its arrays hold.
        if isinstance(each, np.ndarray):
            pending += [each.base]
            pending += each.tolist() if each.dtype == object else []
    return list(found.values())


@pytest.mark.parametrize("metadata", [False, True])
def test_a_chunk_holds_no_message(metadata):
    messages = [message(b"%d" % n, offset=n, headers=[("h", b"header")]) for n in range(3)]
    chunk = fill(messages, metadata)
    held = everything_held_by(chunk)
    content = {each for each in held if isinstance(each, bytes)}
    assert b"2" in content, "the search does not look into columns"
    assert (b"header" in content) == metadata
    assert not [each for each in held if isinstance(each, Message)]


def test_nor_does_what_else_a_filler_returns():
    filler = PythonFiller(Messages([message(offset=n) for n in range(3)]))
    assert not [
        each
        for each in everything_held_by(filler.fill(0.1, 9, MOST_BYTES))
        if isinstance(each, Message)
    ]
