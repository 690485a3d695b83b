"""What docs/testing.md shows, in a project that is not ours."""

from __future__ import annotations

import re

import pytest

from tests.documents import ROOT, examples
from tests.integration.foreign import Project, counts
from tfkafka.testing.deliveries import Deliveries

DOCUMENT = ROOT / "docs" / "testing.md"
TESTS = {
    name: code
    for code in examples(DOCUMENT, "test_its_tests_pass_without_a_conftest")
    for name in re.findall(r"\A# (test_\w+)\.py\n", code)
}


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )


def test_its_tests_pass_without_a_conftest(project: Project):
    project.pytester.makepyfile(**TESTS)
    for text in blocks("toml"):
        (project.path / re.match(r"# (\S+)\n", text)[1]).write_text(text)
    printed = project.run()
    assert counts(printed) == {"passed": 7}
    (summary,) = [text for text in blocks("text") if text.startswith("2 claims: ")]
    assert summary in printed


def test_its_changes_of_fixtures(project: Project):
    project.pytester.makeconftest(*examples(DOCUMENT, "test_its_changes_of_fixtures"))
    project.pytester.makepyfile("""
        def test_changes(kafka_version, kafka_security, kafka_group):
            assert (kafka_version, kafka_security.tls) == ("3.9.2", "mutual")
            assert kafka_group.startswith("my-team-")
    """)
    assert counts(project.run()) == {"passed": 1}


def test_its_kafka_that_runs_already(project: Project, kafka, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAFKA", kafka.bootstrap_servers)
    project.pytester.makeconftest(*examples(DOCUMENT, "test_its_kafka_that_runs_already"))
    project.pytester.makepyfile("""
        def test_it(kafka_broker, kafka_topic, kafka_admin):
            assert kafka_broker.version == "external"
            assert kafka_topic in kafka_admin.topics()
    """)
    assert counts(project.run()) == {"passed": 1}


def test_its_program(project: Project):
    (program,) = examples(DOCUMENT, "test_its_program")
    project.pytester.makepyfile(program=program)
    assert project.pytester.runpython(project.path / "program.py").ret == 0


def test_what_is_wrong_reads_as_it_says():
    deliveries = Deliveries()
    deliveries.sent("numbers", map(str, range(1000)))
    values = [str(number) for number in range(1000) if number not in (17, 18)]
    deliveries.delivered("numbers", [*values, "3"])
    with pytest.raises(AssertionError) as failure:
        deliveries.check()
    assert f"```text\nkafka_deliveries: {failure.value}\n```" in DOCUMENT.read_text()
