"""Step 10: use the saved model on rows that arrive in a topic; print class and probability."""

from pathlib import Path

import _common

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    "--reader",
    "--verbose",
    topic={"default": "susy-test"},
    group_id={"default": "susy-predict"},
    model={"type": Path, "help": "a saved model; default: susy.keras of 06_train.py"},
)
servers = _common.find_kafka(arguments)
_common.require_topic(arguments, servers, arguments.topic)
model_path = _common.require_archive(
    arguments.model or arguments.artifacts / "susy.keras", "06_train.py"
)
if arguments.model is None:
    _common.require_archive(arguments.artifacts / "live.npz", "06_train.py")

with _common.quiet_tensorflow(arguments):
    import tensorflow as tf

    tfio = _common.import_reader(arguments.reader)

from reproduction.observe_predictions import Predictions, compare_with_live, true_class

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
        *_common.settings_list(arguments),
        "session.timeout.ms=7000",
        "max.poll.interval.ms=8000",
        "auto.offset.reset=earliest",
    ],
)


def decode_features(raw_message, raw_key):
    return tf.io.decode_csv(raw_message, [[0.0] for i in range(NUM_COLUMNS)]), raw_key


predict_ds = predict_ds.map(decode_features)
predict_ds = predict_ds.batch(BATCH_SIZE)

print("class  probability of class 1  (true class)")
predictions = Predictions()
for features, keys in predict_ds:
    probabilities = model.predict_on_batch(features)[:, 0]
    for probability, label in zip(probabilities, map(true_class, keys.numpy()), strict=True):
        if len(predictions) < PRINTED_ROWS:
            known = "?" if label is None else label
            print(f"{probability > 0.5:5d}  {probability:22.4f}  ({known})")
        predictions.add(probability, label)

predictions.report(arguments)
if arguments.model is None:
    compare_with_live(arguments, model)
_common.end(arguments, f"Predicted with {_common.shown(model_path)}.", "11_stop_kafka.py")
