"""tensorflow-io's Kafka datasets under their own names: `import tfkafka.tfio as tfio`.

Names, arguments and defaults are those of tensorflow-io 0.37.1. Its defects are fixed: see
tests/integration/tfkafka/test_defects_cured.py.
"""

from tfkafka import __version__
from tfkafka.tfio import experimental, kafka
from tfkafka.tfio.io_dataset import IODataset, StreamIODataset
from tfkafka.tfio.io_tensor import IOTensor

__all__ = ["IODataset", "IOTensor", "StreamIODataset", "__version__", "experimental", "kafka"]
