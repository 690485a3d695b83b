"""Step 1: check that every package of the tutorial can be imported, and print the versions.

The tutorial ran on TensorFlow 2.8.0-rc0 with tensorflow-io 0.23.1. Neither can be installed on
today's Python; 2.16 with 0.37.1 is the last pair that belongs together.
"""

import _common

arguments = _common.parse(__doc__, "--reader", "--verbose")

import kafka
import pandas as pd
import sklearn

with _common.quiet_tensorflow(arguments):
    import tensorflow as tf

    tfio = _common.import_reader(arguments.reader)

from reproduction.observe import note
from reproduction.report import machine

print(f"{tfio.__name__} version: {tfio.__version__}")
print(f"tensorflow version: {tf.__version__}")
print(
    f"kafka-python {kafka.__version__}, pandas {pd.__version__}, scikit-learn {sklearn.__version__}"
)

observed = {
    "environment.versions": [tf.__version__, tfio.__version__],
    "run.machine": machine.describe(),
}
note(arguments, observed)
_common.end(arguments, "All packages can be imported.", "02_start_kafka.py")
