"""The threads of TensorFlow, which a forked child does not have: there training would hang."""

from __future__ import annotations

import tensorflow as tf

from tfkafka._util.processes import LostThreads


def _are_started() -> bool:
    """Return whether they run: their number cannot be changed any more."""
    threading = tf.config.threading
    number = threading.get_inter_op_parallelism_threads()
    try:
        threading.set_inter_op_parallelism_threads(number + 1)
    except RuntimeError:
        return True
    threading.set_inter_op_parallelism_threads(number)
    return False


TENSORFLOW = LostThreads("TensorFlow", _are_started)
