"""TensorFlow's op determinism, which is of the whole process; `learn`, for one, enables it."""

from __future__ import annotations

import sys


def enable(wanted: bool) -> None:
    """Enable it or not, as it is at first; TensorFlow has no public name to disable it."""
    from tensorflow.python.framework import config

    (config.enable_op_determinism if wanted else config.disable_op_determinism)()


def disable_if_imported() -> None:
    """The same for a process that may not have imported TensorFlow, which takes seconds."""
    if "tensorflow" in sys.modules:
        enable(False)
