"""Step 6: train the tutorial's model on susy-train, read from Kafka again in each epoch.

With tensorflow-io an epoch takes some 31 s, nearly all of them waiting: it reads windows of 1,024
records, and before each it waits up to half a second for a request that is under way.
"""

import _common

arguments = _common.parse(
    __doc__, "--bootstrap-servers", "--reader", "--seed", "--epochs", "--verbose"
)
servers = _common.find_kafka(arguments)
records = _common.require_topic(arguments, servers, "susy-train")

with _common.quiet_tensorflow(arguments):
    import tensorflow as tf

    tfio = _common.import_reader(arguments.reader)

from reproduction.observe_predictions import save_live_predictions
from reproduction.observe_records import manifest_of, save_model
from reproduction.observe_training import TrainingLog, note_training
from reproduction.susy.model import build_model

# Before the dataset is made: tensorflow-io's does not survive a seed that is set afterwards.
tf.keras.utils.set_random_seed(arguments.seed)

NUM_COLUMNS = 18


def decode_kafka_item(item):
    message = tf.io.decode_csv(item.message, [[0.0] for i in range(NUM_COLUMNS)])
    key = tf.strings.to_number(item.key)
    return (message, key)


BATCH_SIZE = 64
SHUFFLE_BUFFER_SIZE = 64
train_ds = tfio.IODataset.from_kafka(
    "susy-train",
    partition=0,
    offset=0,
    servers=servers,
    configuration=_common.settings_list(arguments),
)
manifest = manifest_of(servers, "susy-train", configuration=arguments.command_config)
train_ds = train_ds.shuffle(buffer_size=SHUFFLE_BUFFER_SIZE)
train_ds = train_ds.map(decode_kafka_item)
train_ds = train_ds.batch(BATCH_SIZE)

# Input(18), three Dense layers of 128, 256 and 128 with Dropout, and a sigmoid; adam, accuracy,
# binary cross-entropy with `from_logits=True`, of which Keras warns here as in the tutorial.
model = build_model()
model.summary()

# Keras warns twice, and nothing is wrong. "`shuffle=True` was passed, but will be ignored": True is
# the default of `fit`, and `.shuffle` above has shuffled. "Your input ran out of data": nobody can
# say how many records a Kafka topic will give, so the first epoch counts its steps as "n/Unknown",
# and the end of the topic is where it ends.
print(f"Training on {records:,} records, {arguments.epochs} epochs ...")
log = TrainingLog()
model.fit(train_ds, epochs=arguments.epochs, verbose=_common.keras_verbosity(), callbacks=[log])

save_live_predictions(arguments, model, train_ds)
note_training(arguments, model, log)
model_path = arguments.artifacts / "susy.keras"
save_model(model, model_path, manifest)
_common.end(arguments, f"Wrote {_common.shown(model_path)}.", "07_evaluate.py")
