"""Step 6: train the tutorial's model on susy-train, read from Kafka again in each epoch.

With tensorflow-io an epoch takes some 31 s, nearly all of them waiting: it reads windows of 1,024
records, and before each it waits up to half a second for a request that is under way.
"""

import json
import time

import _common
import numpy as np
import tensorflow as tf

from reproduction.files import replacing, write_whole
from reproduction.susy.model import build_model

arguments = _common.parse(__doc__, "--bootstrap-servers", "--reader", "--seed", "--epochs")
servers = _common.find_kafka(arguments)
records = _common.require_topic(servers, "susy-train")
tfio = _common.import_reader(arguments.reader)

# Before the dataset is made: tensorflow-io's does not survive a seed that is set afterwards.
tf.keras.utils.set_random_seed(arguments.seed)

NUM_COLUMNS = 18


def decode_kafka_item(item):
    message = tf.io.decode_csv(item.message, [[0.0] for i in range(NUM_COLUMNS)])
    key = tf.strings.to_number(item.key)
    return (message, key)


BATCH_SIZE = 64
SHUFFLE_BUFFER_SIZE = 64
train_ds = tfio.IODataset.from_kafka("susy-train", partition=0, offset=0, servers=servers)
train_ds = train_ds.shuffle(buffer_size=SHUFFLE_BUFFER_SIZE)
train_ds = train_ds.map(decode_kafka_item)
train_ds = train_ds.batch(BATCH_SIZE)

# Input(18), three Dense layers of 128, 256 and 128 with Dropout, and a sigmoid; adam, binary
# cross-entropy.
model = build_model()
model.summary()

epoch_starts, steps = [], []
clock = tf.keras.callbacks.LambdaCallback(
    on_epoch_begin=lambda epoch, logs: (epoch_starts.append(time.monotonic()), steps.append(0)),
    on_train_batch_end=lambda batch, logs: steps.append(steps.pop() + 1),
)
print(f"Training on {records:,} records, {arguments.epochs} epochs ...")
history = model.fit(
    train_ds, epochs=arguments.epochs, verbose=_common.keras_verbosity(), callbacks=[clock]
).history
epoch_seconds = np.diff([*epoch_starts, time.monotonic()])

# What the model says while it is alive; 10_predict.py holds the saved one against it.
live = np.concatenate([features for features, _ in train_ds.take(4).as_numpy_iterator()])
with replacing(arguments.artifacts / "live.npz") as scratch:
    np.savez(scratch, features=live, probabilities=model.predict(live, verbose=0))
with replacing(arguments.artifacts / "susy.keras") as scratch:
    model.save(scratch)
write_whole(arguments.artifacts / "history.json", json.dumps(history, indent=1) + "\n")
print(f"Saved {arguments.artifacts / 'susy.keras'}")

dense = [layer.count_params() for layer in model.layers if layer.count_params()]
_common.observe(
    arguments,
    model__parameters=dense,
    model__total_parameters=model.count_params(),
    run__epochs=arguments.epochs,
    train__steps=steps[0],
    train__accuracy=history["accuracy"],
    train__loss=history["loss"],
    train__epoch_seconds=round(float(np.median(epoch_seconds)), 1),
    train__ms_per_step=round(1000 * float(np.median(epoch_seconds)) / steps[0], 1),
)
