"""Whether the native library parses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.decoding import csv_samples
from tfkafka import native


@pytest.fixture(scope="module")
def native_parser() -> None:
    """Skip where there is no native library."""
    if native.library() is None:
        pytest.skip(f"{native.PATH.name} is not built, or not wanted: {native.VARIABLE}")


@pytest.fixture(scope="module", params=["native", "python"])
def parser(request: pytest.FixtureRequest) -> Iterator[None]:
    """Decode by the native library, and once more without it."""
    if request.param == "native":
        request.getfixturevalue("native_parser")
        yield
        return
    with csv_samples.without_library():
        yield
