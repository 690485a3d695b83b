"""Which of a folder's models a worker uses, and which it refuses."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka import CsvDecoder, JsonEncoder
from tfkafka.errors import CheckpointError
from tfkafka.exactly_once import ExportedModels, InferenceJob, exported_models
from tfkafka.exactly_once.job import predict
from tfkafka.metrics.meter import RunningMeter


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """The sum of each row, times a weight; its specs are not known before its first call."""

    def __init__(self, **options):
        super().__init__(**options)
        self.times = keras.layers.Dense(1, use_bias=False)

    def call(self, rows):
        return self.times(rows)


def export(folder: Path, name: str, value: float, columns: int = 2, outputs: int = 1) -> Path:
    """A model that predicts the same value for each record."""
    model = keras.Sequential([keras.Input((columns,)), keras.layers.Dense(outputs)])
    model.set_weights([np.zeros((columns, outputs)), np.full(outputs, value)])
    folder.mkdir(exist_ok=True)
    scratch = folder / f".new-{name}.keras"
    model.save(scratch)
    return scratch.rename(folder / f"{name}.keras")


def job_of(folder: Path, **options) -> InferenceJob:
    return InferenceJob(ExportedModels(folder), CsvDecoder(2), "in", "out", "group", **options)


def predicted(job: InferenceJob) -> tuple[str, list[bytes]]:
    """The name of the model of a batch, and what it predicts."""
    found = predict(job, chunk([b"1,2", b"3,4"]))
    records = [*found.outgoing()["out"]]
    origins = [dict(headers)["tfkafka.source"].decode() for _, _, headers in records]
    assert {origin.split("/", 3)[3] for origin in origins} == {found.model_id}
    return found.model_id, [value for value, _, _ in records]


def test_each_batch_is_of_the_newest_model(tmp_path):
    export(tmp_path, "model-9", 9)
    job = job_of(tmp_path)
    assert predicted(job) == ("model-9", [b"9.0", b"9.0"])
    export(tmp_path, "model-0000000010-1a2b3c", 10)
    assert predicted(job) == ("model-0000000010-1a2b3c", [b"10.0", b"10.0"])
    newest = export(tmp_path, "model-11", 11)
    for name in ("model-12.keras.new", "model-x.keras", ".new-model-13.keras", "model-14.weights"):
        (tmp_path / name).write_bytes(newest.read_bytes())
    assert predicted(job)[0] == "model-11"
    # Back to the one before.
    newest.unlink()
    assert predicted(job)[0] == "model-0000000010-1a2b3c"
    for path in tmp_path.iterdir():
        path.unlink()
    assert predicted(job)[0] == "model-0000000010-1a2b3c"
    os.rmdir(tmp_path)
    assert predicted(job)[0] == "model-0000000010-1a2b3c"


def test_each_exchange_is_counted(tmp_path):
    export(tmp_path, "model-1", 1)
    job, meter = job_of(tmp_path), RunningMeter()

    def exchanges() -> int:
        predict(job, chunk([b"1,2"]), meter)
        return meter.events["model_exchanges"]

    assert exchanges() == exchanges() == 0
    newest = export(tmp_path, "model-2", 2)
    assert exchanges() == exchanges() == 1
    newest.unlink()
    assert exchanges() == 2
    export(tmp_path, "model-3", 3, columns=3)
    assert exchanges() == 2


def test_half_a_model_is_never_used(tmp_path, caplog):
    export(tmp_path, "model-1", 1)
    job = job_of(tmp_path)
    whole = export(tmp_path, "model-2", 2)
    content = whole.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        whole.write_bytes(content[:length])
        assert predicted(job)[0] == "model-1"
    assert len(caplog.messages) == 4
    assert caplog.messages[-1] == (
        f"{whole}: is refused: it is no .keras file, or only a part of one; predictions stay with "
        f"model-1 until another fits"
    )
    spoiled = bytearray(content)
    spoiled[content.index(b"model.weights.h5") + 1000] ^= 1
    whole.write_bytes(spoiled)
    assert predicted(job)[0] == "model-1"
    assert "Bad CRC-32" in caplog.messages[-1]
    whole.write_bytes(content)
    assert predicted(job) == ("model-2", [b"2.0", b"2.0"])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"columns": 3}, r"do not fit the input .* of the model, float32 \[n, 3\]"),
        ({"outputs": 2}, r"its output is float32 \[n, 2\], and that of model-1 float32 \[n\]: st"),
    ],
)
def test_a_model_of_another_shape_is_refused_once(tmp_path, caplog, shape, reason):
    export(tmp_path, "model-1", 1)
    job = job_of(tmp_path, encoder=JsonEncoder())
    export(tmp_path, "model-2", 2)
    export(tmp_path, "model-3", 3, **shape)
    caplog.set_level(logging.WARNING)
    assert predicted(job)[0] == "model-2"
    assert predicted(job)[0] == "model-2"
    [line] = caplog.messages
    assert re.fullmatch(f"{tmp_path}/model-3.keras: is refused: .*{reason}.*", line)


def test_a_worker_that_starts_takes_the_newest_that_fits(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no exported model, model-NUMBER.keras: learn"):
        job_of(tmp_path / "none")
    export(tmp_path, "model-2", 2, columns=3)
    with pytest.raises(CheckpointError, match=r"model-2.keras: is refused: decode: the features"):
        job_of(tmp_path)
    export(tmp_path, "model-1", 1)
    assert predicted(job_of(tmp_path))[0] == "model-1"


def test_a_model_that_is_exchanged_while_it_is_loaded(tmp_path, monkeypatch):
    """As by a learner that keeps one: the folder is never without a model."""
    load = exported_models.load_keras_predict

    def load_slowly(path: Path):
        if path.stem == "model-1":
            export(tmp_path, "model-2", 2)
            path.unlink()
        return load(path)

    monkeypatch.setattr(exported_models, "load_keras_predict", load_slowly)
    export(tmp_path, "model-1", 1)
    assert predicted(job_of(tmp_path)) == ("model-2", [b"2.0", b"2.0"])


def test_a_folder_whose_models_are_always_exchanged_is_not_listed_forever(tmp_path, monkeypatch):
    def load_too_late(path: Path):
        number = int(path.stem.removeprefix("model-"))
        path.rename(tmp_path / f"model-{number + 1}.keras")
        raise FileNotFoundError(path)

    monkeypatch.setattr(exported_models, "load_keras_predict", load_too_late)
    (tmp_path / "model-1.keras").touch()
    with pytest.raises(CheckpointError, match="has no exported model"):
        job_of(tmp_path)
    assert os.listdir(tmp_path) == ["model-6.keras"]


def test_the_names_are_those_of_the_models(tmp_path):
    export(tmp_path, "model-1", 1)
    with pytest.raises(ValueError, match=r"^model_id is 'mine', must be left out: each of the exp"):
        job_of(tmp_path, model_id="mine")


def test_a_model_that_knows_its_shapes_only_when_called(tmp_path, caplog):
    def export_subclassed(number: int, columns: int) -> None:
        model = Subclassed()
        model(np.zeros((1, columns), np.float32))
        model.set_weights([np.full((columns, 1), number)])
        model.save(tmp_path / f"model-{number}.keras")

    export_subclassed(1, 2)
    job = job_of(tmp_path)
    assert predicted(job) == ("model-1", [b"3.0", b"7.0"])
    export_subclassed(2, 2)
    export_subclassed(3, 5)
    assert predicted(job) == ("model-2", [b"6.0", b"14.0"])
    assert "model-3.keras: is refused: " in caplog.messages[0]


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "exports").write_text("")
    with pytest.raises(CheckpointError, match=r"exports: cannot be read: Not a directory$"):
        predicted(job_of(tmp_path / "exports"))
