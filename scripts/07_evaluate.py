"""Step 7: evaluate the model on susy-test, read by a consumer group.

A group remembers how far it has read. So the same group reads nothing a second time: inference
again needs a new group (--group-id). Its member is looked at while it reads; tensorflow-io's is
there for some seconds more, as the tutorial's table shows.
"""

import contextlib
import threading
import time

import _common
import tensorflow as tf
from confluent_kafka import KafkaException

from tfkafka import Admin, format_group
from tfkafka.errors import TfkafkaError

arguments = _common.parse(
    __doc__, "--bootstrap-servers", "--reader", group_id={"default": "testcg"}
)
servers = _common.find_kafka(arguments)
records = _common.require_topic(servers, "susy-test")
model_path = _common.require_archive(arguments.artifacts / "susy.keras", "06_train.py")
tfio = _common.import_reader(arguments.reader)
admin = Admin(servers)

BATCH_SIZE = 64
NUM_COLUMNS = 18
model = tf.keras.models.load_model(model_path)
read_before = [row for row in admin.describe_group(arguments.group_id) if row.lag == 0]
ends = admin.end_offsets("susy-test")
had_read_all = len(read_before) == len(ends)

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


lag = {"seconds": [], "unseen": [], "partitions": {partition: [] for partition in ends}}
over = threading.Event()


def watch_the_lag():
    """Five times a second: the lag of each partition, and what the model has not seen yet."""
    while not over.wait(0.2):
        with contextlib.suppress(TfkafkaError, KafkaException):  # a failed look: a point less
            rows = admin.describe_group(arguments.group_id)
            committed = {row.partition: row.committed or 0 for row in rows}
            lag["seconds"].append(round(time.monotonic() - start, 2))
            lag["unseen"].append(max(0, records - BATCH_SIZE * len(batches)))
            for partition, end in ends.items():
                lag["partitions"][partition].append(end - committed.get(partition, 0))


look = tf.keras.callbacks.LambdaCallback(on_test_batch_end=look_at_the_group)
start = time.monotonic()
watch = threading.Thread(target=watch_the_lag, daemon=True)
watch.start()
res = model.evaluate(test_ds, verbose=_common.keras_verbosity(), callbacks=[look])
seconds = time.monotonic() - start
over.set()
watch.join()

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
        evaluate__ms_per_step=round(1000 * seconds / len(batches), 1),
        evaluate__lag_over_time=lag,
        group__lag=[row.lag for row in group],
        group__offsets=sorted((row.committed or 0 for row in group), reverse=True),
        group__member=min(members, default="")[: len("rdkafka-")],
    )
