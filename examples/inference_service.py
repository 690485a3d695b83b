"""Inference as a service: it starts before Kafka does, is watched, and drains on SIGTERM.

    python examples/inference_service.py --metrics 0.0.0.0:9400 --worker "$HOSTNAME"
    curl http://localhost:9400/healthz      # 503 while it waits for Kafka, 200 while it works
    curl http://localhost:9400/metrics      # for Prometheus

It waits for Kafka and for its topic, predicts each record once, and goes on until SIGTERM or
Ctrl-C. Then it finishes the transaction in work, leaves the group, and ends with status 0. Where it
cannot go on by itself, it ends with status 1 and a line: what runs services starts it again, and it
continues where it was. The tutorial's step 6 makes its model.
"""

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
    group_id={"default": "susy-service"},
    worker={"default": "1", "help": "its name; each worker of a group needs its own"},
    model={"type": Path, "help": "a saved model; default: susy.keras of 06_train.py"},
    metrics={"default": "127.0.0.1:9400", "help": "HOST:PORT of /metrics and /healthz"},
)

# Slow to import: a wrong option is reported before.
import tensorflow as tf

from tfkafka import Admin, CsvDecoder
from tfkafka.errors import BrokerError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, keras_predict

NUM_COLUMNS = 18
LOOK_S = 1.0

servers = arguments.bootstrap_servers or "127.0.0.1:9092"
model_path = _common.require_archive(
    arguments.model or arguments.artifacts / "susy.keras", "06_train.py"
)
job = InferenceJob(
    keras_predict(tf.keras.models.load_model(model_path)),
    CsvDecoder(NUM_COLUMNS),
    arguments.topic,
    arguments.predictions,
    arguments.group_id,
    arguments.worker,
    on_bad_record="skip",
)
# From here on /healthz answers: 503, since nothing has been read yet.
worker = ExactlyOnceInference(
    job,
    servers,
    configuration=arguments.command_config,
    stream_timeout=-1,
    metrics_port=arguments.metrics,
)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: worker.stop())


def missing():
    """What there is not yet, or None."""
    try:
        admin = Admin(servers, arguments.command_config)
        topics = admin.topics()
        if arguments.topic not in topics:
            return f"topic {arguments.topic}"
        if arguments.predictions not in topics:
            admin.create_topic(arguments.predictions, 2)
    except BrokerError as error:
        return f"Kafka: {error}"
    return None


# A service is often started together with Kafka, and must not depend on who is first. Workers wait
# for a minute (`broker_timeout`), so this waits before.
said = None
while not worker.is_stopped() and (waiting_for := missing()) is not None:
    if waiting_for != said:
        print(f"Waiting for {waiting_for}", flush=True)
        said = waiting_for
    time.sleep(LOOK_S)

# A worker that was stopped before returns at once.
counts = worker.run()
print(f"Stopped: {counts.used:,} records predicted, {counts.skipped:,} skipped.")
