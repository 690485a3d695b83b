"""The measures behind the fidelity report, on samples whose distance is known."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from reproduction.drawing import svg
from reproduction.susy.errors import SusyDataError
from reproduction.susy.fidelity import measures, plots
from reproduction.susy.fidelity.goals import Goal, goals, published
from reproduction.susy.fidelity.page import page
from reproduction.susy.fidelity.samples import load_samples, weights_of
from reproduction.susy.real_rows import read_real_rows
from reproduction.susy.schema import COLUMNS, FEATURES, LABEL
from reproduction.susy.synthetic import generate

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))

RESULT = {
    "kolmogorov_smirnov": {"M_R": 0.01, "MT2": 0.03},
    "correlation_gap": 0.09,
    "correlation_gap_of_halves": 0.08,
    "discriminator_auc": 0.52,
    "generate_seconds": 0.5,
    "trainings": {
        "synthetic": {
            "accuracy": [0.770] + [0.79] * 8 + [0.796],
            "tests": {
                "real": {"auc": 0.87},
                "synthetic": {"auc": 0.87, "accuracy": 0.795, "loss": 0.44},
            },
        }
    },
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP spin while they wait for each other: minutes, where others work as well."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def first():
    return generate(4_000, seed=1)


@pytest.fixture(scope="module")
def second():
    return generate(4_000, seed=2)


def test_kolmogorov_smirnov_is_0_for_the_same_rows_and_known_for_moved_ones(first):
    assert set(measures.kolmogorov_smirnov(first, first).values()) == {0.0}
    moved = first.copy()
    middle = np.median(first["M_R"])
    moved.loc[moved["M_R"] < middle, "M_R"] = 1e6
    found = measures.kolmogorov_smirnov(first, moved)
    assert found["M_R"] == pytest.approx(0.5, abs=0.001)
    assert found["S_R"] == 0.0


def test_weights_make_balanced_rows_natural(first):
    by_class = [first[first[LABEL] == value].head(1_000) for value in (0.0, 1.0)]
    balanced = pd.concat(by_class, ignore_index=True)
    assert np.average(balanced[LABEL], weights=weights_of(balanced)) == pytest.approx(0.45975)
    distances = measures.kolmogorov_smirnov(balanced, generate(50_000))
    unweighted = abs(balanced["lepton_1_pT"].mean() - first["lepton_1_pT"].mean())
    assert distances["lepton_1_pT"] < 0.05
    assert unweighted > 0.01


def test_correlations_are_numpys_where_all_weights_are_equal(first):
    plain = np.corrcoef(first[list(COLUMNS)].to_numpy().T)
    np.testing.assert_allclose(measures.correlations(first), plain, atol=1e-6)
    assert 0.02 < measures.correlation_gap_of_halves(first) < 0.5


def test_discriminator_tells_what_differs_and_not_what_does_not(first, second):
    assert measures.discriminator_auc(first.head(120), second, seeds=1) < 0.62
    shuffled = second.copy()
    rng = np.random.default_rng(0)
    for name in FEATURES:  # the marginals stay, all relations go
        shuffled[name] = rng.permutation(shuffled[name].to_numpy())
    assert measures.discriminator_auc(first.head(120), shuffled, seeds=1) > 0.7


def test_goals_are_met_and_missed_at_their_bounds():
    assert all(goal.met for goal in goals(RESULT))
    assert not Goal("x", 0.60006, float("-inf"), 0.60).met
    assert Goal("x", 0.60004, float("-inf"), 0.60).met
    worse = RESULT | {"discriminator_auc": 0.7, "correlation_gap": 0.1201}
    assert [goal.value for goal in goals(worse) if not goal.met] == [0.1201, 0.7]
    assert published("train.accuracy")[0] == 0.7691


def test_page_needs_nothing_from_elsewhere(first, second):
    drawing = svg(
        lambda figure: plots.distances(figure, {"M_R": 0.01}, {"M_R": 0.02}), (4, 2), "distances"
    )
    text = page(goals(RESULT | {"discriminator_auc": 0.7}), "a < b", [("caption", drawing)])
    assert text.count("<svg") == 1
    assert "a &lt; b" in text
    assert text.count(">missed<") == 1
    assert not re.search(r"""(src|href)=["']?https?:""", text)
    assert "M_R" in drawing


def test_real_rows_are_read_once_each_from_plain_and_gzipped_files(tmp_path, first):
    plain, zipped = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    first.head(30).to_csv(plain, header=False, index=False, float_format="%.18e")
    first.head(50).to_csv(zipped, header=False, index=False, float_format="%.18e")
    found = read_real_rows([plain, zipped])
    pd.testing.assert_frame_equal(found, first.head(50))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1.0,2.0\n", "2 columns"), ("<html>", "can't be read"), ("3.0" + ",1.0" * 18, "0 or 1")],
)
def test_other_files_are_refused_by_name(tmp_path, text, reason):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(SusyDataError, match=reason) as caught:
        read_real_rows([path])
    assert str(path) in str(caught.value)


def test_too_few_held_out_rows_are_refused(tmp_path, first):
    path = tmp_path / "few.csv"
    first.head(100).to_csv(path, header=False, index=False)
    with pytest.raises(SusyDataError, match="only"):
        load_samples([path], seed=0)


def test_command_says_in_one_line_what_is_wrong(tmp_path, monkeypatch, capsys):
    import fidelity

    missing = str(tmp_path / "none.csv")
    monkeypatch.setattr(sys, "argv", ["fidelity.py", "--real", missing, "--out", str(tmp_path)])
    assert fidelity.main() == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and missing in error
    assert not list(tmp_path.iterdir())


def test_result_is_json_without_infinities():
    import fidelity

    text = fidelity.as_json({"goals": [{"low": float("-inf"), "high": float("inf")}]})
    assert json.loads(text) == {"goals": [{"low": None, "high": None}]}
