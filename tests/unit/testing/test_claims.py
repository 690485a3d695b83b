"""A file of claims is read or refused in one line; observations are held against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfkafka.testing.claims import FAILS, HOLDS, KNOWN_FALSE, NOT_RUN, SHOWN, judge, read_claims

GOOD = """
source = "A. Paper, 2024"

[[claim]]
id = "accuracy"
text = "accuracy on the test set"
expected = 0.79
check = "within"
tolerance = 0.02
page = "table 2"
needs.rows = 1000

[[claim]]
id = "speed"
text = "records per second"
check = "between"
bounds = [10, 20]

[[claim]]
id = "classes"
text = "names of the classes"
expected = ["a", "b"]

[[claim.known_false]]
reader = "old"
why = "it drops one"

[[claim]]
id = "version"
text = "version of the library"
expected = "1.0"
check = "shown"
"""


def read(folder: Path, text: str):
    path = folder / "claims.toml"
    path.write_text(text)
    return {claim.id: claim for claim in read_claims(path)}


def test_fields(tmp_path):
    claims = read(tmp_path, GOOD)
    assert [claim.source for claim in claims.values()] == ["A. Paper, 2024"] * 4
    assert (claims["accuracy"].page, claims["accuracy"].needs) == ("table 2", {"rows": 1000})
    assert [claims[name].wanted for name in ("accuracy", "speed", "classes")] == [
        "0.79 \u00b1 0.02",
        "10 to 20",
        "['a', 'b']",
    ]


@pytest.mark.parametrize(
    ("claim", "observed", "conditions", "status"),
    [
        ("accuracy", 0.8, {"rows": 1000}, HOLDS),
        ("accuracy", 0.75, {"rows": 1000}, FAILS),
        ("accuracy", float("nan"), {"rows": 1000}, FAILS),
        ("accuracy", "0.8", {"rows": 1000}, FAILS),
        ("accuracy", 0.8, {"rows": 10}, NOT_RUN),
        ("accuracy", 0.8, {}, NOT_RUN),
        ("speed", 10, {}, HOLDS),
        ("speed", [10, 20.5], {}, FAILS),
        ("speed", True, {}, FAILS),
        ("classes", ["a", "b"], {"reader": "old"}, HOLDS),
        ("classes", ["a"], {"reader": "old"}, KNOWN_FALSE),
        ("classes", ["a"], {}, FAILS),
        ("version", 2, {}, SHOWN),
    ],
)
def test_verdicts(tmp_path, claim, observed, conditions, status):
    assert judge(read(tmp_path, GOOD)[claim], observed, conditions).status == status


@pytest.mark.parametrize(
    ("claim", "observed", "wanted"),
    [
        ("accuracy", "0.8", "a number"),
        ("accuracy", True, "a number"),
        ("accuracy", [0.8], "a number"),
        ("speed", [], "a number or a list of numbers"),
        ("classes", "a", "a list"),
        ("version", None, ""),
    ],
)
def test_what_cannot_be_compared(tmp_path, claim, observed, wanted):
    assert read(tmp_path, GOOD)[claim].mismatch(observed) == wanted


ONE = '[[claim]]\nid = "x"\ntext = "t"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = ", "is no TOML in UTF-8: Invalid value (at end of document)"),
        ("", "has no claim: each begins with [[claim]]"),
        ("claim = [1]", "has no claim: each begins with [[claim]]"),
        ("tolerance = 1\n" + ONE, "'tolerance' is unknown: there may be source, and [[claim]]s"),
        (ONE + "tolerence = 1", "claim x: 'tolerence' is unknown: there are id, text, expected, "),
        (ONE, "claim x: has no expected"),
        ('[[claim]]\ntext = "t"\nexpected = 1', "claim 1: has no id"),
        (2 * (ONE + "expected = 1\n"), "claim x: there are two with this id"),
        (
            ONE + 'check = "near"',
            "claim x: check = 'near': must be one of equal, within, ",
        ),
        (ONE + 'check = "within"\nexpected = 1', "claim x: has no tolerance, for 'within'"),
        (ONE + 'check = "between"', "claim x: has no bounds, for 'between'"),
        (ONE + "bounds = [2, 1]", "claim x: bounds = [2, 1]: must be two numbers, the lower one "),
        (ONE + "tolerance = -1", "claim x: tolerance = -1: must be a number from 0"),
        (ONE + "expected = 2024-01-01", "claim x: expected = datetime.date(2024, 1, 1): must be a"),
        (ONE + "needs = 3", "claim x: needs = 3: must be conditions, such as needs.rows = 1000"),
        (ONE + "known_false = [{}]", "claim x: known_false = [{}]: must be tables "),
        (
            ONE + 'check = "within"\ntolerance = 1\nexpected = "a"',
            "claim x: expected = 'a': must be numbers, for 'within'",
        ),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, text, said):
    with pytest.raises(ValueError) as refused:
        read(tmp_path, text)
    line = str(refused.value)
    assert line.startswith(f"{tmp_path}/claims.toml: {said}")
    assert "\n" not in line


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"claims\.toml cannot be read: No such file or directory"):
        read_claims(tmp_path / "claims.toml")
