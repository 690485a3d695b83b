"""Step 7: evaluate the model on susy-test, read by a consumer group.

A group remembers how far it has read. So the same group reads nothing a second time: inference
again needs a new group (--group-id). Its member is looked at while it reads; tensorflow-io's is
there for some seconds more, as the tutorial's table shows.
"""

import _common

arguments = _common.parse(
    __doc__, "--bootstrap-servers", "--reader", "--verbose", group_id={"default": "testcg"}
)
servers = _common.find_kafka(arguments)
_common.require_topic(arguments, servers, "susy-test")
model_path = _common.require_archive(arguments.artifacts / "susy.keras", "06_train.py")

with _common.quiet_tensorflow(arguments):
    import tensorflow as tf

    tfio = _common.import_reader(arguments.reader)

from reproduction.observe_group import GroupWatch

BATCH_SIZE = 64
NUM_COLUMNS = 18
model = tf.keras.models.load_model(model_path)

test_ds = tfio.experimental.streaming.KafkaGroupIODataset(
    topics=["susy-test"],
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


def decode_kafka_test_item(raw_message, raw_key):
    message = tf.io.decode_csv(raw_message, [[0.0] for i in range(NUM_COLUMNS)])
    key = tf.strings.to_number(raw_key)
    return (message, key)


test_ds = test_ds.map(decode_kafka_test_item)
test_ds = test_ds.batch(BATCH_SIZE)

# Keras warns "Your input ran out of data", and nothing is wrong: nobody can say how many records a
# group will get, so steps are counted as "n/Unknown", and the stream's end is where they end.
print(f"Evaluating; ends when group {arguments.group_id} has had no record for 10 s ...")
watch = GroupWatch(servers, "susy-test", arguments.group_id, BATCH_SIZE, arguments.command_config)
res = model.evaluate(test_ds, verbose=_common.keras_verbosity(), callbacks=[watch])
if watch.batches:
    print("test loss, test acc:", res)

watch.report(arguments, res)
evaluated = f"Evaluated {_common.shown(model_path)}" if watch.batches else "Nothing to evaluate"
_common.end(arguments, f"{evaluated}.", "08_describe_group.py")
