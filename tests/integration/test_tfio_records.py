"""Functions of Avro and JSON records: what tensorflow-io does right is the same with tfkafka."""

from __future__ import annotations

from tests.integration import tfio_records
from tests.isolated import run


def test_right_results_are_the_same():
    expected = run(tfio_records.right_results, "tensorflow_io")
    assert run(tfio_records.right_results, "tfkafka.tfio") == expected


def test_records_with_bytes_after_them_are_read():
    """Those of tensorflow-io's encode_avro have some, and lie in topics."""
    data = [0.5, -1.5, 2.0]
    assert run(tfio_records.decoded_by_both, data) == (data, data)
