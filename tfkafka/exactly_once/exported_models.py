"""The newest exported model of a folder, as a worker uses it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfkafka._util import arguments
from tfkafka._util.exported import PATTERN, exported
from tfkafka.decoding.base import Arrays, ArraySpec, Decoder, Spec
from tfkafka.decoding.encoders.base import Encoder, described
from tfkafka.errors import CheckpointError
from tfkafka.exactly_once.keras_models import KerasModel, load_keras_predict
from tfkafka.exactly_once.specs import check_fit
from tfkafka.metrics.meter import Meter

_SHOWN_LENGTH = 300
# How often the folder is listed where the models of a list were deleted before they were loaded.
_LISTINGS = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedModels:
    """The newest model of a folder, for `InferenceJob(predict=)`.

    A worker looks into the folder before each transaction. All predictions of a transaction are of
    the model that was the newest then, and the header names it: `model-0000000007-1a2b3c4d5e6f`,
    the name of its file without `.keras`.

    Models are files `model-NUMBER.keras`, or `model-NUMBER-ANYTHING.keras`, as `online.learn`
    writes them to the `exports` of its folder. The newest has the largest number: where it is
    deleted, the one before is used again. A file must appear under its name in one step
    (`os.replace`), and another model needs another name.

    A model that cannot be loaded, or does not fit the job's decoder and encoder, or has other
    outputs than the one before it, is refused: a warning says why, and the newest of the others is
    used. Custom classes must be registered: see `keras.saving.register_keras_serializable`.

    Args:
        folder: the folder, which has a model that fits when the job is made.

    Example:
        from tfkafka.exactly_once import ExportedModels, InferenceJob

        def make_job():
            return InferenceJob(
                predict=ExportedModels("state/exports"),
                decode=tfkafka.CsvDecoder(18, label="key"),
                topics=["susy-test"],
                predictions_topic="predictions",
                group_id="inference",
            )
    """

    folder: Path | str

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", arguments.path("folder", self.folder))


class NewestModel:
    """The newest model of a folder that fits a job.

    Raises CheckpointError where there is none.
    """

    def __init__(self, folder: Path, decode: Decoder, encoder: Encoder):
        self._folder, self._decode, self._encoder = folder, decode, encoder
        self._refused: dict[tuple[object, ...], str] = {}
        self._failure = ""
        self._used: tuple[KerasModel, str] | None = None
        self._look()
        if self._used is None:
            none = f"{folder}: has no exported model, {PATTERN}: learn has to export one before"
            raise CheckpointError(next(iter(self._refused.values()), self._failure or none))

    def current(self, meter: Meter) -> tuple[KerasModel, str]:
        """Return the newest model, and its name; count where it is another one than before."""
        before = self._used
        self._look()
        assert self._used is not None
        if self._used is not before:
            meter.count("model_exchanges")
        return self._used

    def _look(self) -> None:
        """Take the newest model that fits, unless that is the one in use."""
        for _ in range(_LISTINGS):
            try:
                paths = exported(self._folder)
            except OSError as error:
                self._warn_once(f"{self._folder}: cannot be read: {error.strerror}")
                return
            self._failure = ""
            if self._take_newest(paths) or all(map(os.path.exists, paths)):
                return

    def _take_newest(self, paths: Sequence[Path]) -> bool:
        """Use the newest of these models that fits; return whether there is one."""
        for path in reversed(paths):
            if self._used is not None and path.stem == self._used[1]:
                return True
            if self._take(path):
                return True
        return False

    def _take(self, path: Path) -> bool:
        """Use a model, and return whether it can be used."""
        try:
            status = path.stat()
        except OSError:
            return False  # deleted by now, as one of those that are no longer kept
        # A file that was written in place is tried again when it is whole.
        key = path.name, status.st_ino, status.st_size, status.st_mtime_ns
        if key in self._refused:
            return False
        try:
            model = load_keras_predict(path)
            self._check(model)
        except Exception as error:
            # Whatever Keras raises for a file, or a model for features: another model can be used.
            if not path.exists():
                return False
            reason = " ".join(str(error).split())[:_SHOWN_LENGTH]
            self._refused[key] = f"{path}: is refused: {reason}"
            stays = (
                f"; predictions stay with {self._used[1]} until another fits" if self._used else ""
            )
            _log.warning("%s%s", self._refused[key], stays)
            return False
        self._used = model, path.stem
        _log.info("%s: predictions are of this model from now on", path)
        return True

    def _check(self, model: KerasModel) -> None:
        """Raise ValueError where a model does not fit the job, or predicts something else."""
        if model.output_spec is None:
            # It makes its graph with the first features.
            model(_zeros(self._decode.element_spec[0]))
        check_fit(self._decode, model, self._encoder)
        if self._used is None:
            return
        used, name = self._used
        if model.output_spec != used.output_spec:
            assert model.output_spec is not None and used.output_spec is not None
            raise ValueError(
                f"its output is {described(model.output_spec)}, and that of {name} "
                f"{described(used.output_spec)}: start the worker again to change it"
            )

    def _warn_once(self, failure: str) -> None:
        if failure != self._failure:
            self._failure = failure
            _log.warning("%s", failure)


def _zeros(spec: Spec) -> Arrays:
    """Return features of one record, where it does not matter which."""
    if isinstance(spec, ArraySpec):
        shape = [1, *(max(axis, 1) for axis in spec.shape)]
        return np.full(shape, "" if spec.dtype.kind in "OSU" else 0, spec.dtype)
    return {name: np.asarray(_zeros(each)) for name, each in spec.items()}
