"""Step 9: go on training, online: on each mini dataset as it arrives, and then never again.

When the last record has been read, the stream waits for `stream_timeout` ms. The tutorial says
that records which arrive in that time resume the training; --late-rows tries it.
"""

import _common

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    "--reader",
    "--seed",
    "--late-rows",
    "--verbose",
    group_id={"default": "cgonline"},
)
servers = _common.find_kafka(arguments)
_common.require_topic(arguments, servers, "susy-train")
model_path = _common.require_archive(arguments.artifacts / "susy.keras", "06_train.py")

with _common.quiet_tensorflow(arguments):
    import tensorflow as tf

    tfio = _common.import_reader(arguments.reader)

from reproduction.observe_online import OnlineLog
from reproduction.observe_records import save_model

NUM_COLUMNS = 18
tf.keras.utils.set_random_seed(arguments.seed)
model = tf.keras.models.load_model(model_path)

online_train_ds = tfio.experimental.streaming.KafkaBatchIODataset(
    topics=["susy-train"],
    group_id=arguments.group_id,
    servers=servers,
    stream_timeout=10000,  # in milliseconds, to block indefinitely, set it to -1.
    configuration=[
        *_common.settings_list(arguments),
        "session.timeout.ms=7000",
        "max.poll.interval.ms=8000",
        "auto.offset.reset=earliest",
    ],
)


def decode_kafka_online_item(raw_message, raw_key):
    message = tf.io.decode_csv(raw_message, [[0.0] for i in range(NUM_COLUMNS)])
    key = tf.strings.to_number(raw_key)
    return (message, key)


# Keras warns "`shuffle=True` was passed, but will be ignored", and nothing is wrong: True is the
# default of `fit`, and `.shuffle` has shuffled.
log = OnlineLog(
    servers, "susy-train", arguments.group_id, arguments.late_rows, arguments.command_config
)
for mini_ds in online_train_ds:
    log.arrived(mini_ds)
    mini_ds = mini_ds.shuffle(buffer_size=32)
    mini_ds = mini_ds.map(decode_kafka_online_item)
    mini_ds = mini_ds.batch(32)
    if len(mini_ds) > 0:
        model.fit(mini_ds, epochs=3, verbose=_common.keras_verbosity(), callbacks=[log])

log.report(arguments)
online_path = arguments.artifacts / "susy-online.keras"
save_model(model, online_path, log.manifest())
_common.end(arguments, f"Wrote {_common.shown(online_path)}.", "10_predict.py")
