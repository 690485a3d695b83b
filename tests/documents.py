"""The documents, their blocks of Python, and the test that runs each of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
# The test that runs a document's blocks with a certain text: the first text that is in a block.
RUN_BY = {
    "README.md": {"": "test_the_example_of_the_readme"},
    "docs/command.md": {"": "test_the_examples_print_what_the_document_says"},
    "docs/decoders.md": {"": "test_the_examples_of_decoders"},
    "docs/docker.md": {"": "test_the_example_of_the_documentation_of_docker"},
    "docs/first-steps.md": {"": "test_the_examples_print_what_the_document_says"},
    "docs/migrating-from-tensorflow-io.md": {"": "test_a_line_of_debugging_says_which_and_why"},
    "docs/monitoring.md": {"": "test_the_examples_of_monitoring"},
    "docs/predictions.md": {"": "test_the_examples_of_predictions"},
    "docs/reading-kafka.md": {"": "test_the_examples_of_the_guide"},
    "docs/recipes.md": {"": "test_every_recipe_runs"},
    "docs/scaling.md": {
        "jax.distributed": "test_the_example_of_the_documentation",
        "": "test_the_examples_of_scaling",
    },
    "docs/synthetic-data.md": {"": "test_the_example_of_the_documentation_of_synthetic_rows"},
    "docs/testing.md": {
        "# test_": "test_its_tests_pass_without_a_conftest",
        "# conftest.py": "test_its_changes_of_fixtures",
        "ExternalBroker": "test_its_kafka_that_runs_already",
        "": "test_its_program",
    },
}
_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of Python: the document that it is in, the line where it begins, and its code."""

    document: str
    line: int
    code: str

    @property
    def test(self) -> str | None:
        """The name of the test that runs it."""
        tests = RUN_BY.get(self.document, {})
        return next((test for text, test in tests.items() if text in self.code), None)


def blocks(document: Path) -> list[Block]:
    """Return the blocks of Python of a document."""
    text, name = document.read_text(), str(document.relative_to(ROOT))
    return [
        Block(name, text.count("\n", 0, found.start()) + 2, found[2])
        for found in _BLOCK.finditer(text)
        if found[1] == "python"
    ]


def examples(document: Path, test: str | None = None) -> list[str]:
    """Return the code of a document's blocks, or of those that a test runs."""
    return [each.code for each in blocks(document) if test in (None, each.test)]


def prose(document: Path) -> str:
    """Return a document without its blocks of code."""
    return _BLOCK.sub("", document.read_text())
