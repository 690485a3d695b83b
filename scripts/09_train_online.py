"""Step 9: go on training, online: on each mini dataset as it arrives, and then never again.

When the last record has been read, the stream waits for `stream_timeout` ms. The tutorial says
that records which arrive in that time resume the training; --late-rows tries it.
"""

import contextlib
import threading
import time
from statistics import median

import _common
import tensorflow as tf
from kafka import KafkaProducer

from reproduction.files import replacing
from tfkafka import Admin
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    "--reader",
    "--seed",
    group_id={"default": "cgonline"},
    late_rows={
        "type": _common.number_from(0),
        "default": 0,
        "help": "send so many records once more",
    },
)
servers = _common.find_kafka(arguments)
records = _common.require_topic(servers, "susy-train")
model_path = _common.require_archive(arguments.artifacts / "susy.keras", "06_train.py")
tfio = _common.import_reader(arguments.reader)

NUM_COLUMNS = 18
LATE_BY_S = 6.0  # well within stream_timeout
tf.keras.utils.set_random_seed(arguments.seed)
model = tf.keras.models.load_model(model_path)

online_train_ds = tfio.experimental.streaming.KafkaBatchIODataset(
    topics=["susy-train"],
    group_id=arguments.group_id,
    servers=servers,
    stream_timeout=10000,  # in milliseconds, to block indefinitely, set it to -1.
    configuration=[
        "session.timeout.ms=7000",
        "max.poll.interval.ms=8000",
        "auto.offset.reset=earliest",
    ],
)


def decode_kafka_online_item(raw_message, raw_key):
    message = tf.io.decode_csv(raw_message, [[0.0] for i in range(NUM_COLUMNS)])
    key = tf.strings.to_number(raw_key)
    return (message, key)


sent = []


def send_late(raw_records):
    """Send records once more, as they are."""
    producer = KafkaProducer(bootstrap_servers=[servers])
    futures = [producer.send("susy-train", key=key, value=value) for value, key in raw_records]
    producer.flush()
    sent.extend(future for future in futures if future.succeeded())
    producer.close()


def records_committed():
    """How many records of susy-train the group has committed."""
    return sum(row.committed or 0 for row in Admin(servers).describe_group(arguments.group_id))


late = None
sizes, steps, accuracies, losses, seconds = [], [], [], [], []
for mini_ds in online_train_ds:
    sizes.append(len(mini_ds))
    if arguments.late_rows and late is None and sum(sizes) >= records:
        raw_records = list(mini_ds.take(arguments.late_rows).as_numpy_iterator())
        late = threading.Timer(LATE_BY_S, send_late, [raw_records])
        on_time = len(sizes)
    mini_ds = mini_ds.shuffle(buffer_size=32)
    mini_ds = mini_ds.map(decode_kafka_online_item)
    mini_ds = mini_ds.batch(32)
    if len(mini_ds) > 0:
        print(f"Mini dataset {len(sizes)}: {sizes[-1]:,} records", flush=True)
        start = time.monotonic()
        history = model.fit(mini_ds, epochs=3, verbose=_common.keras_verbosity()).history
        seconds.append(time.monotonic() - start)
        steps.append(len(mini_ds))
        accuracies += history["accuracy"]
        losses += history["loss"]
    if late and late.ident is None:
        late.start()

trained = sum(sizes)
print(f"Trained online on {trained:,} records, in {len(steps)} mini datasets.")
if not trained:
    print(f"Group {arguments.group_id} had read everything before: nothing to train on.")
if late:
    late.join()
    print(
        f"{len(sent):,} records came {LATE_BY_S:.0f} s after the last one: "
        f"{trained - records:,} of them were trained on."
    )
with replacing(arguments.artifacts / "susy-online.keras") as scratch:
    model.save(scratch)
print(f"Saved {arguments.artifacts / 'susy-online.keras'}")

if trained:
    on_time = on_time if late else len(sizes)
    punctual = slice(3 * on_time)  # three epochs each
    _common.observe(
        arguments,
        online__mini_datasets=[size for size in sizes[:on_time] if size],
        online__steps=steps[0],
        online__accuracy=[min(accuracies[punctual]), max(accuracies[punctual])],
        online__loss=[min(losses[punctual]), max(losses[punctual])],
        online__ms_per_step=round(1000 * median(seconds) / (3 * steps[0]), 1),
    )
if late:
    # tensorflow-io commits in the background; where it does not get to the end, that is the fact.
    with contextlib.suppress(TfkafkaError):
        wait_for(lambda: records_committed() == records + len(sent), "all to be committed", 15)
    committed = records_committed()
    print(f"Group {arguments.group_id} committed {committed:,} of {records + len(sent):,} records.")
    _common.observe(
        arguments,
        online__late_records=trained - records,
        online__committed_not_trained=max(0, committed - trained),
    )
