"""What an import brings in."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tfkafka
from tests import isolated

ROOT = Path(__file__).parents[2]


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tensorflow_is_imported_when_it_is_first_needed():
    heavy = "{'tensorflow', 'keras', 'numpy', 'polars', 'confluent_kafka'}"
    assert _run(f"import sys, tfkafka; print({heavy} & set(sys.modules))") == "set()\n"


def test_an_import_does_not_need_the_module_that_takes_longest():
    code = (
        "before = set(sys.modules); import tfkafka; print({'typing'} & (set(sys.modules) - before))"
    )
    assert _run(f"import sys; {code}") == "set()\n"


def _names() -> list[str]:
    return [getattr(tfkafka, name).__name__ for name in tfkafka.__all__]


def test_every_name_can_be_had():
    assert "KafkaDataset" in isolated.run(_names)
    with pytest.raises(AssertionError, match="has no attribute 'Kafka'"):
        _run("import tfkafka; tfkafka.Kafka")


def test_type_checkers_see_the_names_that_there_are_at_run_time():
    tree = ast.parse(Path(tfkafka.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    static = {name.name: node.module for node in block.body for name in node.names}
    assert static == {name: f"tfkafka.{home}" for name, home in tfkafka._HOMES.items()}
    assert sorted(static) == sorted(tfkafka.__all__)
