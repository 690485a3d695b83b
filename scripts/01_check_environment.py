"""Step 1: check that every package of the tutorial can be imported, and print the versions.

The tutorial ran on TensorFlow 2.8.0-rc0 with tensorflow-io 0.23.1. Neither can be installed on
today's Python; 2.16 with 0.37.1 is the last pair that belongs together.
"""

import _common

arguments = _common.parse(__doc__, "--reader")

import kafka  # noqa: E402
import pandas as pd  # noqa: E402
import sklearn  # noqa: E402
import tensorflow as tf  # noqa: E402

from reproduction.report import machine  # noqa: E402

tfio = _common.import_reader(arguments.reader)

print(f"{tfio.__name__} version: {tfio.__version__}")
print(f"tensorflow version: {tf.__version__}")
print(
    f"kafka-python {kafka.__version__}, pandas {pd.__version__}, scikit-learn {sklearn.__version__}"
)

_common.observe(
    arguments,
    environment__versions=[tf.__version__, tfio.__version__],
    run__machine=machine.describe(),
)
