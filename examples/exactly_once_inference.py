"""Exactly-once inference: one prediction for each record of a topic, whatever is killed and when.

    python examples/exactly_once_inference.py                      # predict what is there, evaluate
    python examples/exactly_once_inference.py --stream-timeout -1  # and go on forever
    python examples/exactly_once_inference.py --worker 2           # in another terminal: share

Kill it at any moment, kill Kafka, start the same command again: the predictions topic, read with
isolation.level=read_committed, has each record exactly once. The tutorial's steps 2 to 6 come
before this.
"""

import hashlib
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import _common

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    topic={"default": "susy-test"},
    predictions={"default": "susy-predictions", "help": "topic; created if it does not exist"},
    group_id={"default": "susy-exactly-once"},
    worker={"default": "1", "help": "its name; each worker of a group needs its own"},
    model={"type": Path, "help": "a saved model; default: susy.keras of 06_train.py"},
    transaction_records={
        "type": _common.number_from(1),
        "default": 10_000,
        "help": "of a transaction at most",
    },
    transaction_wait={
        "type": _common.number_from(0),
        "default": 1000,
        "help": "ms a transaction waits to be full",
    },
    stream_timeout={
        "type": _common.number_from(-1),
        "default": 0,
        "help": "0: to the present end; ms; -1: forever",
    },
)

# Slow to import: a wrong option is reported before.
import tensorflow as tf

from reproduction.metrics import evaluate
from tfkafka import Admin, CsvDecoder
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, keras_predict

servers = _common.find_kafka(arguments)
_common.require_topic(arguments, servers, arguments.topic)
model_path = _common.require_archive(
    arguments.model or arguments.artifacts / "susy.keras", "06_train.py"
)
NUM_COLUMNS = 18

# Who reads predictions later wants to know what made them: the model's id goes into a header of
# each, and names this very file.
model_id = hashlib.sha256(model_path.read_bytes()).hexdigest()[:12]
model = tf.keras.models.load_model(model_path)

admin = Admin(servers, arguments.command_config)
if arguments.predictions not in admin.topics():
    admin.create_topic(arguments.predictions, 2)

# A worker reads a batch, predicts it, and writes the predictions and the offsets of what it read in
# one Kafka transaction: both count, or neither. So there is no moment at which a kill could part
# them. Its name makes it the same worker after a restart: Kafka gives it the partitions that it had
# and refuses what its former self may still try to do.
shown = [time.monotonic()]


def show(counts):
    """A line every two seconds."""
    if time.monotonic() - shown[0] > 2:
        shown[0] = time.monotonic()
        print(f"{counts.used:,} predicted", flush=True)


decode = CsvDecoder(NUM_COLUMNS)
worker = ExactlyOnceInference(
    InferenceJob(
        keras_predict(model),
        decode,
        [arguments.topic],
        arguments.predictions,
        arguments.group_id,
        arguments.worker,
        model_id,
    ),
    servers,
    configuration=arguments.command_config,
    transaction_records=arguments.transaction_records,
    transaction_wait=arguments.transaction_wait,
    stream_timeout=arguments.stream_timeout,
    on_commit=show,
)

# Ctrl-C and SIGTERM let the transaction in work end, and leave the group, so that other workers
# have the partitions at once.
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: worker.stop())
counts = worker.run()
print(f"Predicted {counts.used:,} records of {arguments.topic} into {arguments.predictions}.")

# What all workers of all runs have predicted, from the predictions themselves. That works only with
# one prediction for each record: missing and double ones are an error that names them.
if worker.is_stopped():
    print("Stopped: the same command goes on from here.")
elif admin.has_members(arguments.group_id):
    print("Other workers of the group are at work: the last one to end evaluates.")
else:
    result = evaluate(
        servers,
        arguments.topic,
        arguments.predictions,
        arguments.group_id,
        decode,
        arguments.command_config,
    )
    print(
        f"All {result.records:,} records that the group has read have one prediction each: "
        f"accuracy {result.accuracy:.4f}, loss {result.loss:.4f}, AUC {result.auc:.4f}"
    )
