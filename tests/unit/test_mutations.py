"""The faults that `make mutations` injects still have the code that they break."""

from __future__ import annotations

import pytest

from tools.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_code(mutation: Mutation):
    code = (ROOT / "tfkafka" / mutation.file).read_text()
    assert code.count(mutation.right) == 1
    assert (ROOT / mutation.tests).exists()
