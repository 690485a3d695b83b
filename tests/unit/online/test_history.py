"""The history of learning: what was written is read again, as far as the state goes."""

from __future__ import annotations

import json
import math
import resource

import pytest

from tests import forked
from tfkafka.errors import CheckpointError
from tfkafka.online.history import History, evaluate_with, shown


@pytest.fixture
def path(tmp_path):
    """Of three mini datasets."""
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.add(1, 10, {"loss": 0.1 + 0.2, "auc": math.nan})
    history.add(2, 10, {})
    history.add(3, 4, {"loss": 1e-300})
    return path


def restored(path, count: int) -> dict[str, list[float]]:
    history = History(path)
    history.restore(count)
    return history.columns


def test_what_was_added_comes_back(path):
    found = restored(path, 3)
    assert found["loss"] == pytest.approx([0.1 + 0.2, math.nan, 1e-300], rel=0, nan_ok=True)
    assert len(found["auc"]) == 3 and all(map(math.isnan, found["auc"]))
    first = json.loads(path.read_text().splitlines()[0], parse_constant=pytest.fail)
    assert first == {
        "mini_dataset": 1,
        "records": 10,
        "metrics": {"loss": 0.1 + 0.2, "auc": None},
    }


def test_what_is_later_than_the_state_is_dropped_and_half_a_line_too(path):
    lines = path.read_text().splitlines(keepends=True)
    assert restored(path, 1) == {"loss": [0.1 + 0.2], "auc": [pytest.approx(math.nan, nan_ok=True)]}
    assert path.read_text() == lines[0]
    path.write_text(lines[0] + lines[1][:20])
    history = History(path)
    history.restore(1)
    history.add(2, 10, {})
    assert path.read_text() == lines[0] + lines[1]


def test_a_folder_without_a_history_has_one_from_now_on(tmp_path):
    history = History(tmp_path / "history.jsonl")
    history.restore(2)
    history.add(3, 5, {"loss": 0.5})
    assert history.columns == {"loss": pytest.approx([math.nan, math.nan, 0.5], nan_ok=True)}
    assert restored(tmp_path / "history.jsonl", 3)["loss"][2] == 0.5


def test_a_disk_that_is_full_is_one_line(path):
    process = forked.context().Process(target=add_to_a_full_disk, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert restored(path, 3)["loss"][2] == 1e-300


def add_to_a_full_disk(path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10,) * 2)
    history = History(path)
    history.restore(3)
    with pytest.raises(CheckpointError, match=r"history.jsonl: cannot be written: File too large"):
        history.add(4, 10, {"loss": 0.5})


@pytest.mark.parametrize("returned", [None, 0.5, [("loss", 0.5)], {1: 0.5}])
def test_an_evaluation_returns_a_dict(returned):
    with pytest.raises(TypeError, match=r"^evaluate returned .*, must return a dict of numbers"):
        evaluate_with(lambda model, x, y: returned, None, ([], []))


@pytest.mark.parametrize("value", ["0.5", None, [0.5, 0.5], 1j])
def test_a_metric_is_one_number(value):
    with pytest.raises(TypeError, match=r"^evaluate: 'auc' is .*, must be one number"):
        evaluate_with(lambda model, x, y: {"auc": value}, None, ([], []))


def test_metrics_are_shown_in_one_line():
    assert shown({"loss": 0.693147, "auc": 0.5}) == "loss 0.6931, auc 0.5"


def test_a_process_without_the_folder_has_a_history_in_memory():
    history = History(None)
    history.restore(1)
    history.add(2, 10, {"loss": 0.5})
    assert history.columns == {"loss": [pytest.approx(math.nan, nan_ok=True), 0.5]}
