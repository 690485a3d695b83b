"""tensorflow-io's numbers that are no offsets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tfkafka.reading.bounds import Last
from tfkafka.tfio.offsets import bound

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "earliest"),
        (-2, "earliest"),
        (-1, "latest"),
        (5, 5),
        (-2000, Last(0)),
        (-2050, Last(50)),
        (-3, -3),
        (NOW, NOW),
    ],
)
def test_what_a_number_means(number, expected):
    assert bound("start", number) == expected
