"""Claims of projects that are not ours: observed by their tests, summed up, kept as JSON."""

from __future__ import annotations

import json

import pytest

from tests.integration.foreign import counts

CLAIMS = """
source = "A. Paper, 2024"

[[claim]]
id = "accuracy"
text = "accuracy on the test set"
expected = 0.79
check = "within"
tolerance = 0.02

[[claim]]
id = "rows"
text = "rows that were read"
expected = 1000
needs.data = "all"

[[claim]]
id = "speed"
text = "records per second"
check = "between"
bounds = [10, 20]

[[claim]]
id = "memory"
text = "MiB at the peak"
check = "between"
bounds = [100, 200]

[[claim]]
id = "order"
text = "records keep their order"
expected = true

[[claim.known_false]]
why = "partitions are read side by side"
"""


@pytest.fixture
def claimed(project):
    """A project with claims."""
    (project.path / "claims.toml").write_text(CLAIMS)
    project.pytester.makeini("[pytest]\nkafka_claims = claims.toml")
    return project


def observations(project) -> dict:
    return json.loads((project.path / "out/seen.json").read_text())


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_met_missed_and_not_checked(claimed, options):
    claimed.pytester.makepyfile("""
        import numpy as np
        import pytest

        @pytest.mark.parametrize("reader", ["a", "b"])
        def test_accuracy(kafka_observe, reader):
            kafka_observe("accuracy", np.float32(0.8), reader=reader)

        def test_rows(kafka_observe):
            kafka_observe("rows", 10, data="few")

        def test_speed(kafka_observe):
            kafka_observe("speed", np.array([15.0, 21.0]))

        def test_order(kafka_observe):
            kafka_observe("order", False)
    """)
    printed = claimed.run("--kafka-observations", "out/seen.json", *options)
    assert counts(printed) == {"passed": 4, "failed": 1}
    missed = "speed: observed [15.0, 21.0], claimed 10 to 20: records per second"
    assert f"\nkafka_observe: {missed}\n" in printed
    assert "plugin_claims.py" not in printed
    summary = printed.partition("= claims of claims.toml =")[2].splitlines()[1:5]
    assert summary == [
        "5 claims: 1 met, 1 missed, 1 known to be false, 2 not checked",
        f"missed: {missed}",
        "not checked, needs data = all: rows",
        "not checked, no test observed it: memory",
    ]
    file = observations(claimed)
    assert file["not_checked"] == ["rows", "memory"]
    rows = {row["test"].partition("::")[2]: row for row in file["observations"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "test_accuracy[a]": "holds",
        "test_accuracy[b]": "holds",
        "test_rows": "not compared",
        "test_speed": "DOES NOT HOLD",
        "test_order": "is false",
    }
    assert rows["test_accuracy[a]"]["conditions"] == {"reader": "a"}
    assert rows["test_accuracy[a]"]["observed"] == pytest.approx(0.8)


MISUSED = {
    'kafka_observe("acuracy", 1)': "'acuracy' is no claim of claims.toml",
    'kafka_observe("accuracy", "0.8")': "accuracy: observed '0.8': must be a number",
    'kafka_observe("accuracy", {1})': "accuracy: observed {1}: must be a number, a text, a "
    "boolean or a list of these",
    'kafka_observe("speed", 11); kafka_observe("speed", 12)': "speed was observed under the same "
    "conditions already, by test_misuse.py::test_it: 11, now 12; conditions keep them apart: "
    "kafka_observe(..., name=value)",
}


@pytest.mark.parametrize("code", MISUSED)
def test_misuse_is_one_line(claimed, code):
    claimed.pytester.makepyfile(test_misuse=f"def test_it(kafka_observe):\n    {code}\n")
    printed = claimed.run()
    assert counts(printed) == {"failed": 1}
    assert f"\nkafka_observe: {MISUSED[code]}\n" in printed
    assert "During handling" not in printed and "plugin_claims.py" not in printed


def test_two_tests_of_one_claim(claimed):
    """One process refuses the second; of two workers, the controller does."""
    code = "def test_it(kafka_observe):\n    kafka_observe('accuracy', 0.8)\n"
    claimed.pytester.makepyfile(test_a=code, test_b=code)
    printed = claimed.run()
    assert counts(printed) == {"passed": 1, "failed": 1}
    assert "conditions already, by test_a.py::test_it: 0.8, now 0.8; " in printed
    done = claimed.pytester.runpytest_subprocess("-n", "2")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    twice = "observed twice under the same conditions: accuracy, by test_?.py::test_it and "
    done.stdout.fnmatch_lines([f"{twice}test_?.py::test_it", "*2 passed*"])


def test_a_test_that_runs_again_observes_again(claimed):
    claimed.pytester.makeconftest("""
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for _ in range(2):
                item._initrequest()
                for report in runtestprotocol(item, nextitem=nextitem, log=False):
                    item.ihook.pytest_runtest_logreport(report=report)
            return True
    """)
    claimed.pytester.makepyfile("""
        seen = iter([0.1, 0.8])

        def test_it(kafka_observe):
            kafka_observe("accuracy", next(seen))
    """)
    printed = claimed.run()
    assert counts(printed) == {"failed": 1, "passed": 1}
    assert "5 claims: 1 met, 0 missed, 4 not checked" in printed


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ("kafka_claims = none.toml", (), "kafka_claims: the path * cannot be read: No such file *"),
        ("kafka_claims = odd.toml", (), "kafka_claims: */odd.toml: has no claim: each begins *"),
        ("", ("--kafka-observations", "x"), "--kafka-observations: set kafka_claims in pytest's *"),
    ],
)
def test_settings_that_are_wrong_are_one_line(project, settings, options, said):
    (project.path / "odd.toml").touch()
    project.pytester.makeini(f"[pytest]\n{settings}")
    done = project.pytester.runpytest_subprocess(*options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(f"ERROR: {said}")


def test_observations_that_cannot_be_written_fail_the_run(claimed):
    (claimed.path / "out").touch()
    claimed.pytester.makepyfile("def test_it(kafka_observe): pass")
    done = claimed.pytester.runpytest_subprocess("--kafka-observations", "out/seen.json")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["--kafka-observations: out/seen.json: File exists", "*1 passed*"])


def test_without_claims_there_is_no_summary_and_the_fixture_says_why(project):
    project.pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def observe():
            return "theirs"

        def test_theirs(observe):
            assert observe == "theirs"

        def test_ours(kafka_observe):
            pass
    """)
    printed = project.run()
    assert counts(printed) == {"passed": 1, "error": 1}
    assert "kafka_observe: there are no claims: set kafka_claims = " in printed
    assert "= claims of" not in printed
