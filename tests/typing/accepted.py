"""Calls as users write them: `make lint` has mypy --strict accept each. Nothing here is run."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import keras
import numpy as np
import polars
from google.protobuf.wrappers_pb2 import FloatValue
from numpy.typing import NDArray

import tfkafka
from tfkafka import (
    Admin,
    AvroDecoder,
    AvroEncoder,
    CommitCallback,
    CsvDecoder,
    Encoder,
    JsonEncoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    ProtobufDecoder,
    TensorEncoder,
    format_group,
    format_topic,
    headers_of,
    read,
    shards,
    write,
)
from tfkafka.chunk import Chunk, OffsetRange
from tfkafka.decoding.bad_records import Counts
from tfkafka.decoding.base import ArraySpec, Decoded, Fault
from tfkafka.errors import OffsetError, TfkafkaError
from tfkafka.exactly_once import (
    ExactlyOnceInference,
    ExportedModels,
    InferenceJob,
    checked_predictions,
    evaluate_predictions,
    keras_predict,
    read_predictions,
)
from tfkafka.online import Progress, Stream, learn
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded

SERVERS = "127.0.0.1:9092"


@dataclass(frozen=True)
class Int32Decoder:
    """A decoder of one's own: values of 4 bytes to int32 []."""

    element_spec: tuple[ArraySpec, ...] = (ArraySpec((), np.dtype(np.int32)),)

    def decode(self, chunk: Chunk) -> Decoded:
        values = chunk.values.entries.tolist()
        kept = [index for index, value in enumerate(values) if value and len(value) == 4]
        faults = [index for index in range(len(values)) if index not in kept]
        numbers = np.frombuffer(b"".join(values[index] for index in kept), "<i4")
        return Decoded(
            (numbers,),
            np.array(kept, np.int64),
            tuple(Fault(index, "is short") for index in faults),
        )


def bounded_reading() -> list[OffsetRange]:
    KafkaDataset("susy-train")
    KafkaDataset("susy-train", 0, servers=SERVERS, last=1000, max_records=10)
    KafkaDataset("susy-train", [0, 2], start=5, stop="latest", servers=["a:9092", "b:9092"])
    KafkaDataset("susy-train", start=datetime(2026, 1, 1, tzinfo=UTC), stop={0: 7, 1: "latest"})
    KafkaDataset("susy-train", on_bad_record="dead_letter", dead_letter_topic="bad")
    KafkaDataset("susy-train", configuration=["fetch.wait.max.ms=100"], decode=Int32Decoder())
    dataset = tfkafka.KafkaDataset(
        "susy-train",
        servers=SERVERS,
        configuration={"isolation.level": "read_uncommitted"},
        decode=CsvDecoder(18, label="key"),
        batch_size=64,
        metadata=True,
        prefetch_bytes=1 << 20,
        broker_timeout=10_000,
    )
    dataset.refresh()
    for _features, _label, where in dataset.chunks():
        headers: list[tuple[str, bytes | None]] = headers_of(where.headers.numpy())
        print(headers)
    counts: Counts = dataset.counts
    error: Exception | None = dataset.error
    print(counts.read - counts.skipped, error)
    return dataset.ranges


def shards_and_arrays(dataset: KafkaDataset) -> None:
    parts: list[list[OffsetRange]] = shards(dataset.ranges, 4)
    stop = {each.partition: each.stop for each in dataset.ranges}
    KafkaDataset("susy-train", start=0, stop=stop, servers=SERVERS, shard=(3, 4))
    KafkaDataset("susy-train", servers=SERVERS, batch_size=64, shard="jax").padded()
    KafkaDataset.from_manifest("susy.json", shard=(0, 2))
    with read("susy-train", servers=SERVERS, decode=CsvDecoder(18, "key"), shard="jax") as batches:
        for features, labels in batches:
            print(features.shape, labels.mean(), parts)
        print(batches.counts.used, len(batches.ranges))


def groups(model: keras.Model) -> None:
    stream = KafkaGroupDataset(
        ["susy-test", "susy-more"],
        "my-group",
        SERVERS,
        10_000,
        {"auto.offset.reset": "earliest"},
        auto_commit=False,
        decode=CsvDecoder(18, label="key"),
        batch_size=64,
        on_bad_record="skip",
    )
    model.fit(stream, callbacks=[CommitCallback(stream)])
    stream.commit(640)
    stream.commit()
    commits = CommitCallback(stream, 64)
    commits.watch(commits.filter(stream, lambda features, label, where: label > 0).batch(64))
    stream.close()
    online = KafkaMiniBatchDataset(
        "susy-test", "my-group", servers=SERVERS, records=1000, decode=CsvDecoder(18, "key")
    )
    for mini_dataset in online:
        model.fit(mini_dataset.batch(64))
        online.commit()


def writing_and_topics() -> int:
    admin = Admin(SERVERS, {"security.protocol": "ssl"})
    admin.create_topic("susy-train", partitions=2, settings={"retention.ms": "-1"})
    print(format_topic(admin.describe_topic("susy-train")))
    rows = admin.describe_group("my-group")
    print(format_group(rows), sum(row.lag or 0 for row in rows))
    written = write(SERVERS, "susy-train", ["1,2"], ["0.0"])
    written += write(SERVERS, "susy-train", (b"%d" % n for n in range(9)), configuration=["a=b"])
    written += write(SERVERS, "susy-train", np.zeros((3, 2)), encoder=JsonEncoder(["a", "b"]))
    columns = {"a": np.zeros(3), "b": np.ones(3)}
    encoder: Encoder = AvroEncoder({"type": "record"}, shapes={"p": [2]}, registry="http://r")
    AvroDecoder(["x"], label="key", registry="http://r", registry_config={"timeout": 1})
    ProtobufDecoder(["x"], label="key", message=FloatValue, framing="confluent", missing="nan")
    encoder = TensorEncoder("float32", [2])
    written += write(SERVERS, "susy-train", columns, ["x", "y", "z"], encoder=encoder)
    written += write(SERVERS, "susy-train", polars.DataFrame(columns), encoder=JsonEncoder())
    return written + write(SERVERS, "susy-train", [None], [b"key"], partition=1, timeout_s=5)


def exactly_once(model: keras.Model) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    decode = CsvDecoder(18, label="key")
    job = InferenceJob(
        predict=keras_predict(model),
        decode=decode,
        topics=["susy-test"],
        predictions_topic="predictions",
        group_id="inference",
        worker="7",
        on_bad_record="skip",
    )
    worker = ExactlyOnceInference(job, SERVERS, transaction_records=2000, on_commit=print)
    signal.signal(signal.SIGTERM, lambda _number, _frame: worker.stop())
    used: int = worker.run().used
    print(used, worker.restarts)

    def of_numpy(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows[:, 0]

    InferenceJob(ExportedModels("state/exports"), decode, "susy-test", "predictions", "inference")
    InferenceJob(of_numpy, decode, ["susy-test"], "predictions", "inference")

    def of_dict(rows: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return {"mass": rows["x"], "charge": rows["y"]}

    encoder = JsonEncoder(nan="null", dtype={"charge": "float64"})
    InferenceJob(of_dict, decode, "susy-test", "predictions", "inference", encoder=encoder)
    where = (SERVERS, "susy-test", "predictions", "inference", decode)
    results: dict[str, float] = evaluate_predictions(
        *where, encoder=encoder, metrics={"mass": [keras.metrics.MeanSquaredError()]}
    )
    _labels, of_arrays = checked_predictions(*where, encoder=encoder)
    print(results, of_arrays["mass"].mean())
    for offsets, numbers in read_predictions(SERVERS, "predictions").values():
        print(offsets.max(), numbers.mean())
    return checked_predictions(SERVERS, "susy-test", "predictions", "inference", decode)


def online() -> Progress:
    def build() -> keras.Model:
        return keras.Sequential([keras.layers.Dense(1)])

    def train(
        model: keras.Model, features: NDArray[np.float32], labels: NDArray[np.float32]
    ) -> None:
        model.fit(features, labels, batch_size=64)

    def evaluate(
        model: keras.Model, features: NDArray[np.float32], labels: NDArray[np.float32]
    ) -> dict[str, float]:
        return {"largest": float(features.max()), "share": float(labels.mean())}

    stream = Stream("susy-train", CsvDecoder(18, label="key"), SERVERS, stream_timeout=0)
    learn("state", stream, build, train, seed=7, keep=2, evaluate=evaluate)
    return learn(
        "state",
        stream,
        build,
        train,
        seed=7,
        export_s=10,
        export_if=lambda metrics: metrics["loss"] < 0.5,
        keep_exports=100,
    )


def errors_and_brokers() -> None:
    try:
        KafkaDataset("susy-train", start=-5)
    except OffsetError as error:
        topic: str | None = error.topic
        offset: int | None = error.offset
        print(topic, offset)
    except TfkafkaError:
        raise
    broker = embedded.start("kafka", "3.9.2", die_with_parent=False)
    address: str = broker.bootstrap_servers
    topics: list[str] = wait_for(Admin(address).topics, "a topic", 10, TfkafkaError)
    print(topics, broker.version)
    broker.stop()
