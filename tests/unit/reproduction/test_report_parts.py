"""What the report stands on: files written whole, a thinned ROC curve."""

import os

import numpy as np
import pytest

from reproduction.files import write_whole
from reproduction.roc import POINTS, roc


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "index.html"
    write_whole(path, "old")

    def full_disk(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_roc_of_known_scores():
    label = np.array([0, 0, 1, 1])
    perfect = roc(label, np.array([0.1, 0.2, 0.8, 0.9]))
    assert (perfect.auc, len(perfect.false_positive)) == (1.0, POINTS)
    assert perfect.true_positive[-1] == 1.0
    assert roc(label, np.array([0.1, 0.9, 0.2, 0.8])).auc == 0.5
    # The wrongly ordered pair counts for nothing where its rows weigh nothing.
    weighted = roc(label, np.array([0.1, 0.9, 0.2, 0.8]), np.array([1.0, 1e-9, 1.0, 1.0]))
    assert weighted.auc == pytest.approx(1.0)


def test_roc_needs_both_classes():
    with pytest.raises(ValueError, match="both classes"):
        roc(np.ones(3), np.arange(3.0))
