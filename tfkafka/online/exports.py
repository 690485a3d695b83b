"""Exported models: a file for each, whose name is the model's, with a manifest beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from tfkafka._util.exported import exported, number_of
from tfkafka._util.files import SCRATCH
from tfkafka.errors import CheckpointError
from tfkafka.online.checkpoints import replace
from tfkafka.online.history import shown
from tfkafka.reading.manifest import Manifest

EXPORTS = "exports"
MODEL = "model.keras"
MANIFEST = ".manifest.json"
DIGITS = 12

# Called with the metrics of a model that is about to be exported.
ExportIf = Callable[[Mapping[str, float]], bool]


class Exports:
    """The exported models of a folder, and `model.keras`, the newest of them, in the one above.

    Args:
        folder: the folder of the state.
        keep: the number of models to keep.
        every_s: seconds between two exports.
        export_if: what a model's metrics on records that are new to it must be; None: anything.
        notify: called with a line about each model that is refused.
    """

    def __init__(
        self,
        folder: Path,
        keep: int,
        every_s: float,
        export_if: ExportIf | None,
        notify: Callable[[str], None],
    ):
        self._folder, self._keep, self._every_s = folder, keep, every_s
        self._export_if, self._notify = export_if, notify
        self._exported_s: float | None = None

    def clean(self) -> None:
        """Delete what a process that was killed had only half written."""
        for left in (self._folder / EXPORTS).glob(f"{SCRATCH}*"):
            left.unlink()

    @property
    def is_judged(self) -> bool:
        """Whether a model is exported only after a mini dataset has judged it."""
        return self._export_if is not None

    def is_due(self) -> bool:
        """Return whether the last export of this process is long enough ago."""
        return self._exported_s is None or time.monotonic() - self._exported_s >= self._every_s

    def accepts(self, number: int, metrics: Mapping[str, float]) -> bool:
        """Return whether the model of `number` mini datasets may be exported."""
        if self._export_if is None or self._export_if(metrics):
            return True
        self._notify(
            f"the model of {number:,} mini datasets is not exported: export_if refuses "
            f"{shown(metrics)} on the next one"
        )
        return False

    def refuse_others(self) -> None:
        """Raise CheckpointError where there are models although no training has begun."""
        if self._models():
            raise CheckpointError(
                f"{self._folder / EXPORTS}: has models of a training whose states are gone: give "
                f"another folder, or delete {self._folder} to start again"
            )

    def write(self, model: keras.Model, number: int, manifest: Manifest) -> None:
        """Write the model of `number` mini datasets; others see all of it or nothing.

        Raises CheckpointError where the disk refuses.
        """
        text = json.dumps(manifest.to_json(), indent=1) + "\n"
        path = self._folder / EXPORTS / f"model-{number:010}-{_digest(model)}.keras"
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{path.parent}: cannot be made: {error.strerror}") from error
        # The manifest first: whoever sees a model sees which records made it.
        replace(path.with_suffix(MANIFEST), lambda scratch: scratch.write_text(text))
        if not path.exists():
            replace(path, model.save)
        newest = self._folder / MODEL
        replace(newest, lambda scratch: shutil.copyfile(path, scratch))
        replace(newest.with_suffix(MANIFEST), lambda scratch: scratch.write_text(text))
        self._forget(path)
        self._exported_s = time.monotonic()

    def _forget(self, newest: Path) -> None:
        """Delete what is older than the models to keep, or has the number of the newest."""
        models = self._models()
        twins = [each for each in models if number_of(each) == number_of(newest)]
        for old in {*models[: -self._keep], *twins} - {newest}:
            old.unlink(missing_ok=True)
            old.with_suffix(MANIFEST).unlink(missing_ok=True)

    def _models(self) -> list[Path]:
        folder = self._folder / EXPORTS
        try:
            return exported(folder)
        except OSError as error:
            raise CheckpointError(f"{folder}: cannot be read: {error.strerror}") from error


def _digest(model: keras.Model) -> str:
    """Return what two models share only if they have the same weights, bit by bit."""
    found = hashlib.sha256()
    for variable in model.weights:
        array = variable.numpy()
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:DIGITS]
