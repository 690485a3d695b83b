"""The folder of exported models: what is kept, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.unit.reproduction.report_samples import MANIFEST
from tfkafka.errors import CheckpointError
from tfkafka.online.exports import Exports


def exports(folder: Path, keep: int = 2) -> Exports:
    return Exports(folder, keep, 0, None, lambda line: None)


def model(value: float) -> keras.Model:
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    made.set_weights([np.zeros((1, 1)), np.full(1, value)])
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "exports").iterdir())


def test_the_newest_are_kept_each_with_its_manifest(tmp_path):
    written = exports(tmp_path)
    for number in (1, 2, 10):
        written.write(model(number), number, MANIFEST)
    second, tenth = (name for name in names(tmp_path) if name.endswith(".keras"))
    assert second.startswith("model-0000000002-") and tenth.startswith("model-0000000010-")
    manifests = [Path(name).with_suffix(".manifest.json").name for name in (second, tenth)]
    assert names(tmp_path) == sorted([second, tenth, *manifests])
    newest = tmp_path / "model.keras"
    assert newest.read_bytes() == (tmp_path / "exports" / tenth).read_bytes()
    assert json.loads((tmp_path / "model.manifest.json").read_text()) == MANIFEST.to_json()


def test_the_same_number_with_other_weights_replaces_the_model(tmp_path):
    """A life that was killed after its export may train otherwise in the next."""
    exports(tmp_path).write(model(1), 1, MANIFEST)
    first = names(tmp_path)
    exports(tmp_path).write(model(2), 1, MANIFEST)
    assert len(names(tmp_path)) == 2 and not set(first) & set(names(tmp_path))


def test_a_folder_that_was_deleted_is_made_again(tmp_path):
    written = exports(tmp_path)
    written.write(model(1), 1, MANIFEST)
    shutil.rmtree(tmp_path / "exports")
    written.write(model(2), 2, MANIFEST)
    assert len(names(tmp_path)) == 2


def test_what_a_killed_life_has_left_is_deleted(tmp_path):
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / ".new-model-1.keras").write_text("half")
    exports(tmp_path).clean()
    assert names(tmp_path) == []


def test_models_without_states_are_those_of_another_training(tmp_path):
    written = exports(tmp_path)
    written.refuse_others()
    written.write(model(1), 1, MANIFEST)
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/exports: has models of a training"):
        exports(tmp_path).refuse_others()


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "exports").write_text("")
    written = exports(tmp_path)
    with pytest.raises(CheckpointError, match=r"exports: cannot be read: Not a directory$"):
        written.refuse_others()
    with pytest.raises(CheckpointError, match=r"exports: cannot be made: File exists$"):
        written.write(model(1), 1, MANIFEST)
