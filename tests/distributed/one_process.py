"""Train in one process what several have trained: one_process.py CHECKPOINT COUNT SEED RESULT.

The global batch of each step is that of `COUNT` processes: a batch of each of their shards.
"""

from __future__ import annotations

import sys
from pathlib import Path

# First: it sets Keras' backend.
from examples.distributed_training import build_model, pack, start, unpack  # isort: skip
import keras
import tensorflow as tf

from tfkafka import KafkaDataset

checkpoint, count, seed, result = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
about = unpack(checkpoint.read_bytes())
start(0, 1, None)


def joined(*parts):
    return tf.nest.map_structure(lambda *arrays: tf.concat(arrays, 0), *parts)


shards = [
    KafkaDataset.from_manifest(about["manifest"], shard=(index, count)).padded()
    for index in range(count)
]
keras.utils.set_random_seed(seed)
model = build_model()
steps = tf.data.Dataset.zip(*shards).map(joined)
model.fit(steps, epochs=about["epochs"], shuffle=False, verbose=0)
variables = [*model.variables, *model.optimizer.variables]
Path(result).write_bytes(pack(about["epochs"], about["manifest"], variables))
