"""Step 10: use the saved model on rows that arrive in a topic; print class and probability."""

import math
from pathlib import Path

import _common
import numpy as np
import tensorflow as tf

from reproduction.roc import roc

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    "--reader",
    topic={"default": "susy-test"},
    group_id={"default": "susy-predict"},
    model={"type": Path, "help": "a saved model; default: susy.keras of 06_train.py"},
)
servers = _common.find_kafka(arguments)
_common.require_topic(servers, arguments.topic)
model_path = _common.require_archive(
    arguments.model or arguments.artifacts / "susy.keras", "06_train.py"
)
# What that model said while it was alive; of another one nothing is known.
live_path = None
if arguments.model is None:
    live_path = _common.require_archive(arguments.artifacts / "live.npz", "06_train.py")
tfio = _common.import_reader(arguments.reader)

BATCH_SIZE = 64
NUM_COLUMNS = 18
PRINTED_ROWS = 10
UNKNOWN = "?"
model = tf.keras.models.load_model(model_path)

predict_ds = tfio.experimental.streaming.KafkaGroupIODataset(
    topics=[arguments.topic],
    group_id=arguments.group_id,
    servers=servers,
    stream_timeout=10000,
    configuration=[
        "session.timeout.ms=7000",
        "max.poll.interval.ms=8000",
        "auto.offset.reset=earliest",
    ],
)


def decode_features(raw_message, raw_key):
    return tf.io.decode_csv(raw_message, [[0.0] for i in range(NUM_COLUMNS)]), raw_key


def true_class(key):
    """The number that a record's key says; a record that comes from elsewhere may have none."""
    try:
        return int(float(key))
    except ValueError:
        return UNKNOWN


print("class  probability of class 1  (true class)")
predicted = 0
scores, labels = [], []
for features, keys in predict_ds.map(decode_features).batch(BATCH_SIZE):
    probabilities = model.predict_on_batch(features)[:, 0]
    classes = (probabilities > 0.5).astype(int)
    truth = [true_class(key) for key in keys.numpy()]
    for row in range(max(0, min(len(classes), PRINTED_ROWS - predicted))):
        print(f"{classes[row]:5d}  {probabilities[row]:22.4f}  ({truth[row]})")
    predicted += len(classes)
    known = [row for row, label in enumerate(truth) if label != UNKNOWN]
    scores += [float(probabilities[row]) for row in known]
    labels += [truth[row] for row in known]

is_the_tutorials = arguments.model is None and arguments.topic == "susy-test"
if set(labels) == {0, 1}:
    curve = roc(np.array(labels), np.array(scores))
    print(f"Area under the ROC curve: {curve.auc:.4f}")
    if is_the_tutorials:
        _common.observe(arguments, predict__auc=round(curve.auc, 4), predict__roc=vars(curve))
if predicted:
    correct = np.mean((np.array(scores) > 0.5) == labels) if labels else math.nan
    print(f"Predicted {predicted:,} rows, {correct:.4f} of those with a class right.")
else:
    print(f"No rows arrived for group {arguments.group_id}: it has read them all before.")

if live_path is not None:
    live = np.load(live_path)
    difference = np.abs(model.predict(live["features"], verbose=0) - live["probabilities"]).max()
    print(f"Largest difference to what the live model said: {difference:.2g}")
    _common.observe(arguments, predict__same_as_live=float(difference))
