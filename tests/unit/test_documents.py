"""What the documents name exists, and a test runs each block of Python."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, ROOT, RUN_BY, blocks, prose

FOLDERS = "tfkafka|reproduction|scripts|examples|tests|tools|docs"


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def anchors(document: Path) -> set[str]:
    """Return the names that a Markdown viewer gives to the headings."""
    headings = re.findall(r"^#+ (.*)", prose(document), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = document.parent / path if path else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_files_are_there(document):
    for path in re.findall(rf"(?<![\w/.-])(?:{FOLDERS})/[\w/.-]*[\w/]", document.read_text()):
        assert (ROOT / path).exists(), path


def test_tests_are_there(document):
    code = "\n".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))
    files = {path.name for path in ROOT.glob("tests/**/test_*.py")}
    for name in re.findall(r"`(test_\w+(?:\.py)?)`", document.read_text()):
        assert name in files or f"def {name}(" in code, name


def test_targets_of_make_are_there(document):
    rules = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)|`make ([\w-]+)", document.read_text(), re.MULTILINE):
        name = target[0] or target[1]
        assert re.search(rf"^([\w-]+ )*{name}( [\w-]+)*:", rules, re.MULTILINE), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_test_runs_each_block_of_python(path):
    code = "\n".join(test.read_text() for test in ROOT.glob("tests/**/test_*.py"))
    for block in blocks(path):
        assert block.test, f"{block.document}:{block.line} is run by no test of tests/documents.py"
        assert f"def {block.test}(" in code, block.test


def test_no_test_is_said_to_run_what_is_gone():
    for name, tests in RUN_BY.items():
        assert {each.test for each in blocks(ROOT / name)} == set(tests.values()), name


def test_the_picture_shows_what_the_documents_say():
    drawn = runpy.run_path(str(ROOT / "tools" / "results_picture.py"))["picture"]()
    committed = (ROOT / "docs" / "images" / "results.svg").read_text()
    assert texts(drawn) == texts(committed)
    assert {"31.1 s", "8,720 of 10,000", "0 of 40,000"} <= set(texts(drawn))


def texts(svg: str) -> list[str]:
    """Return the words of a drawing."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)
