"""What the documents name exists; each public name is in the reference; each example is run."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, ROOT, RUN_BY, blocks, prose
from tests.public import MODULES, public_objects
from tfkafka import config, errors

DOCS = ROOT / "docs"
PAGES = [path for path in DOCUMENTS if DOCS in path.parents]
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


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_has_an_entry_in_the_reference(module):
    listed = reference()
    names = [f"{module}.{name}" for name in public_objects(module)]
    assert [name for name in names if listed.count(name) != 1] == []


def reference() -> list[str]:
    """Return the full names of what the reference has an entry of."""
    found = []
    for page in sorted(DOCS.glob("reference/*.rst")):
        module = ""
        for kind, name in re.findall(
            r"^\.\. (\w+):: (tfkafka\S*|\w+)$", page.read_text(), re.MULTILINE
        ):
            if kind == "currentmodule":
                module = name
            elif kind in ("autoclass", "autofunction"):
                found.append(name if "." in name else f"{module}.{name}")
    return found


def test_each_error_has_its_cure():
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    kinds = [name for name, each in vars(errors).items() if isinstance(each, type)]
    assert sorted(rows) == sorted(set(kinds) - {"TfkafkaError"})


def test_settings_are_those_that_tfkafka_chooses():
    table = re.findall(
        r"^\| ([^|]+) \| `([\w.]+)` \| `([^`]+)`[^|]* \| ([^|]+) \|$",
        (DOCS / "settings.md").read_text(),
        re.MULTILINE,
    )
    # (client, setting, value, whether it can be changed), of all clients that the page names.
    said = {
        (client, name, value, change.startswith("yes")) for client, name, value, change in table
    }
    quiet = {"bootstrap.servers": config.DEFAULT_SERVERS, "log_level": 0}
    chosen = {
        ("all", True): quiet,
        ("readers", True): config.CONSUMER_DEFAULTS,
        ("readers", False): config.CONSUMER_FIXED,
        ("readers of ranges", True): config.RANGES_DEFAULTS,
        ("`Admin`", True): config.ADMIN_ISOLATION,
        ("`Admin`", False): config.ADMIN_DEFAULTS,
        ("`write`", True): config.WRITER_DEFAULTS,
        ("`write`", False): config.WRITER_FIXED,
        ("exactly-once reading", True): config.RECOVERY | config.CLASSIC_DEFAULTS,
        ("exactly-once reading", False): config.EXACTLY_ONCE_FIXED,
        ("exactly-once writing", False): config.TRANSACTIONS_DEFAULTS,
    }
    assert said == {
        (client, name, str(value), can_be_changed)
        for (client, can_be_changed), settings in chosen.items()
        for name, value in settings.items()
        if name != "logger" and (client == "all" or name not in quiet)
    }


def test_environment_variables_are_those_that_tfkafka_reads():
    code = "".join(path.read_text() for path in ROOT.glob("tfkafka/**/*.py"))
    read = set(re.findall(r'"(TFKAFKA_[A-Z_]+)"', code))
    table = re.findall(r"^\| `(TFKAFKA_\w+)` \|", (DOCS / "settings.md").read_text(), re.MULTILINE)
    assert sorted(read) == sorted(table)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_start_page_leads_to_each_page(page):
    text = (DOCS / "index.md").read_text()
    linked = set(re.findall(r"\]\(([\w-]+\.md)", text))
    listed = set(re.findall(r"^([\w-]+)$", text, re.MULTILINE))
    assert page.name == "index.md" or ({page.name} <= linked and {page.stem} <= listed)


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
