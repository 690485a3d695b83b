"""Each recipe of docs/recipes.md on a real broker, by itself."""

from __future__ import annotations

import re

import pytest

from tests import isolated
from tests.documents import ROOT, examples
from tests.unit.decoding.protobuf_samples import provide_event_pb2

RECIPES = ROOT / "docs" / "recipes.md"
MARK = "-of-"


def recipes() -> tuple[str, dict[str, str]]:
    """Return the imports that all have in common, and the code of each recipe by its title."""
    begin, *sections = re.split(r"^## ", RECIPES.read_text(), flags=re.MULTILINE)
    found = {each.partition("\n")[0]: _code(each) for each in sections}
    return _code(begin), found


def _code(text: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def names_of(code: str) -> set[str]:
    """Return the topics and groups that a recipe names."""
    topics = re.findall(r'create_topic\("([^"]+)"', code)
    return {*topics, *re.findall(r'group_id="([^"]+)"', code)}


def run_recipes(common: str, codes: dict[str, str], servers: str) -> list[str]:
    """Run recipes one after the other; what fails says which it was."""
    provide_event_pb2()
    for title, code in codes.items():
        scope: dict[str, object] = {"servers": servers}
        exec(compile(common, "docs/recipes.md", "exec"), scope)
        exec(compile(code, f"docs/recipes.md, {title}", "exec"), scope)
    return list(codes)


@pytest.fixture
def codes(group, admin):
    """The recipes with topics and groups of the test's own."""
    _, found = recipes()
    for title, code in found.items():
        for name in names_of(code):
            found[title] = found[title].replace(f'"{name}"', f'"{group}{MARK}{name}"')
    yield found
    for topic in admin.topics():
        if topic.startswith(f"{group}{MARK}"):
            admin.delete_topic(topic)


def test_every_recipe_runs(kafka, codes):
    common, _ = recipes()
    assert 1 + len(codes) == len(examples(RECIPES))
    assert len(codes) >= 10 and all(codes.values())
    # Its predictions are read again, so no name may be left as the document has it.
    assert all(MARK in name for code in codes.values() for name in names_of(code))
    assert isolated.run(run_recipes, common, codes, kafka.bootstrap_servers) == list(codes)
