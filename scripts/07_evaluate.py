"""Step 7: evaluate the model on susy-test, read by a consumer group.

A group remembers how far it has read. So the same group reads nothing a second time: inference
again needs a new group (--group-id). Its member is looked at while it reads; tensorflow-io's is
there for some seconds more, as the tutorial's table shows.
"""

import time

import _common
import tensorflow as tf

from tfkafka.admin import Admin, format_group

arguments = _common.parse(
    __doc__, "--bootstrap-servers", "--reader", group_id={"default": "testcg"}
)
servers = _common.find_kafka(arguments)
_common.require_topic(servers, "susy-test")
model_path = _common.require_file(arguments.artifacts / "susy.keras", "06_train.py")
tfio = _common.import_reader(arguments.reader)
admin = Admin(servers)

BATCH_SIZE = 64
NUM_COLUMNS = 18
model = tf.keras.models.load_model(model_path)
read_before = [row for row in admin.describe_group(arguments.group_id) if row.lag == 0]
had_read_all = len(read_before) == len(admin.end_offsets("susy-test"))

test_ds = tfio.experimental.streaming.KafkaGroupIODataset(
    topics=["susy-test"],
    group_id=arguments.group_id,
    servers=servers,
    stream_timeout=10000,
    configuration=[
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

print(f"Evaluating; ends when group {arguments.group_id} has had no record for 10 s ...")
batches, members = [], set()


def look_at_the_group(batch, logs):
    batches.append(batch)
    if len(batches) == 1:
        members.update(row.consumer_id for row in admin.describe_group(arguments.group_id))


look = tf.keras.callbacks.LambdaCallback(on_test_batch_end=look_at_the_group)
start = time.monotonic()
res = model.evaluate(test_ds, verbose=_common.keras_verbosity(), callbacks=[look])
seconds = time.monotonic() - start

group = admin.describe_group(arguments.group_id)
print(format_group(group))

if had_read_all:
    print(f"Group {arguments.group_id} had read everything before: {len(batches)} batches now.")
    _common.observe(arguments, group__second_read=len(batches))
elif not batches:
    print(f"Group {arguments.group_id} got no records: is another member of it reading?")
else:
    print("test loss, test acc:", res)
    _common.observe(
        arguments,
        evaluate__steps=len(batches),
        evaluate__loss=res[0],
        evaluate__accuracy=res[1],
        evaluate__seconds=round(seconds, 1),
        group__lag=[row.lag for row in group],
        group__offsets=sorted((row.committed for row in group), reverse=True),
        group__member=min(members)[: len("rdkafka-")],
    )
