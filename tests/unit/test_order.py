"""Which tests go to the same worker of pytest-xdist."""

import pytest

from tests.order import scope_of

TUTORIAL = "tests/integration/tutorial/test_write.py"


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        (f"{TUTORIAL}::test_a[3.9.2-tensorflow_io]", "3.9.2-tensorflow_io"),
        (f"{TUTORIAL}::test_a[3.9.2-tensorflow_io-train]", "3.9.2-tensorflow_io"),
        (
            f"{TUTORIAL}::test_a[kafka-1.example:9092-tfkafka.tfio]",
            "kafka-1.example:9092-tfkafka.tfio",
        ),
        (f"{TUTORIAL}::test_a", f"{TUTORIAL}::test_a"),
        ("tests/unit/test_config.py::test_a[1]", "tests/unit/test_config.py"),
        ("tests/integration/test_scripts.py::test_a", "tests/integration/test_scripts.py"),
        ("tests/faults/test_online.py::test_a[1]", "tests/faults/test_online.py::test_a[1]"),
    ],
)
def test_what_shares_a_broker_or_a_model_stays_together(nodeid: str, scope: str):
    assert scope_of(nodeid) == scope
