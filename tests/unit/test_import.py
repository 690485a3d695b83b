"""What an import brings in."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tensorflow_is_imported_when_it_is_first_needed():
    heavy = "{'tensorflow', 'keras', 'numpy', 'polars', 'confluent_kafka'}"
    assert _run(f"import sys, tfkafka; print({heavy} & set(sys.modules))") == "set()\n"


def test_every_name_can_be_had():
    code = "import tfkafka; print(*(getattr(tfkafka, n).__name__ for n in tfkafka.__all__))"
    assert "KafkaDataset" in _run(code).split()
    with pytest.raises(AssertionError, match="has no attribute 'Kafka'"):
        _run("import tfkafka; tfkafka.Kafka")
