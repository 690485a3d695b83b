"""Step 10: use the saved model on rows that arrive in a topic; print class and probability."""

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
live_path = _common.require_archive(arguments.artifacts / "live.npz", "06_train.py")
model_path = _common.require_archive(
    arguments.model or arguments.artifacts / "susy.keras", "06_train.py"
)
tfio = _common.import_reader(arguments.reader)

BATCH_SIZE = 64
NUM_COLUMNS = 18
PRINTED_ROWS = 10
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


print("class  probability of class 1  (true class)")
predicted, correct = 0, 0
scores, labels = [], []
for features, keys in predict_ds.map(decode_features).batch(BATCH_SIZE):
    probabilities = model.predict_on_batch(features)[:, 0]
    classes = (probabilities > 0.5).astype(int)
    truth = keys.numpy().astype(float).astype(int)
    for row in range(max(0, min(len(classes), PRINTED_ROWS - predicted))):
        print(f"{classes[row]:5d}  {probabilities[row]:22.4f}  ({truth[row]})")
    predicted += len(classes)
    correct += int(np.sum(classes == truth))
    scores += probabilities.tolist()
    labels += truth.tolist()

if len(set(labels)) == 2:
    curve = roc(np.array(labels), np.array(scores))
    print(f"Area under the ROC curve: {curve.auc:.4f}")
    _common.observe(arguments, predict__auc=round(curve.auc, 4), predict__roc=vars(curve))
if predicted:
    print(f"Predicted {predicted:,} rows, {correct / predicted:.4f} of them right.")
else:
    print(f"No rows arrived for group {arguments.group_id}: it has read them all before.")

live = np.load(live_path)
difference = np.abs(model.predict(live["features"], verbose=0) - live["probabilities"]).max()
if arguments.model is None:
    print(f"Largest difference to what the live model said: {difference:.2g}")
    _common.observe(arguments, predict__same_as_live=float(difference))
