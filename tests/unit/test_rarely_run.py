"""What only the targets beside make test run has to be there when they do."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "chaos", "faults", "histories", "soak")
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in FOLDERS
    for path in sorted((ROOT / "tests" / folder).rglob("*.py"))
]


@pytest.mark.parametrize("module", MODULES)
def test_it_finds_what_it_imports(module):
    importlib.import_module(module)
