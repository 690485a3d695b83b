"""Start a broker, write records, read and train on them, with nothing but an installed tfkafka.

Prints, as JSON, what was read and where tfkafka was found.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import numpy as np

import tfkafka
from tfkafka.testing.brokers import compose, embedded


def read_back(servers: str) -> list[list[float]]:
    """Write three records of two columns, and return the rows that a dataset has of them."""
    tfkafka.Admin(servers).create_topic("rows", 1)
    tfkafka.write(servers, "rows", [b"1,10", b"2,20", b"3,30"])
    dataset = tfkafka.KafkaDataset("rows", servers=servers, decode=tfkafka.CsvDecoder(columns=2))
    return [features.tolist() for features in dataset.as_numpy_iterator()]


def one_epoch(servers: str) -> list[float]:
    """Train a model for an epoch on the records; return the loss of each epoch."""
    import keras

    decode = tfkafka.CsvDecoder(columns=["x", "y"], label=tfkafka.Column("y"))
    dataset = tfkafka.KafkaDataset("rows", servers=servers, decode=decode, batch_size=2)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model.fit(dataset, shuffle=False, verbose=0).history["loss"]


def metrics(servers: str) -> list[str]:
    """Return the lines of the metrics of a group that has read the topic."""
    dataset = tfkafka.KafkaGroupDataset(
        "rows", "group", servers, configuration=["auto.offset.reset=earliest"], metrics_port=0
    )
    with dataset:
        list(dataset)
        address = f"http://127.0.0.1:{dataset.metrics_port}/metrics"
        with urllib.request.urlopen(address) as page:
            return page.read().decode().splitlines()


def avro_rows(servers: str) -> list[list[float]]:
    """Write two Avro records with a registry in this process, and return the rows of a dataset."""
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "float"}]}
    encoder = tfkafka.AvroEncoder(schema, registry="mock://first", subject="avro-value")
    tfkafka.Admin(servers).create_topic("avro", 1)
    tfkafka.write(servers, "avro", np.array([0.5, 1.5], np.float32), encoder=encoder)
    decode = tfkafka.AvroDecoder(["x"], registry="mock://first")
    dataset = tfkafka.KafkaDataset("avro", servers=servers, decode=decode)
    return [features.tolist() for features in dataset.as_numpy_iterator()]


def main(folder: Path) -> None:
    broker = embedded.start(folder, "3.9.2")
    try:
        rows = read_back(broker.bootstrap_servers)
        losses = one_epoch(broker.bootstrap_servers)
        avro = avro_rows(broker.bootstrap_servers)
        lines = metrics(broker.bootstrap_servers)
    finally:
        broker.stop()
    found = {
        "rows": rows,
        "losses": losses,
        "avro": avro,
        "metrics": lines,
        "version": tfkafka.__version__,
        "native": str(tfkafka.native_status()),
        "package": str(Path(tfkafka.__file__).parent),
        "compose_file": compose.COMPOSE_FILE.read_text(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
