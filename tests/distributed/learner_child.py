"""One of several processes that learn together: learner_child.py INDEX COUNT ADDRESS OPTIONS.

It leaves what it has seen and learnt in its own folder, where no other process looks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jax

from tests.distributed.harness import COLUMNS, HEARTBEAT_S, SEED, Options

index, count, address = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
options = Options.of(json.loads(sys.argv[4]))
if count > 1:
    jax.distributed.initialize(address, count, index, heartbeat_timeout_seconds=HEARTBEAT_S)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from tfkafka import CsvDecoder, online  # noqa: E402
from tfkafka.errors import TfkafkaError  # noqa: E402
from tfkafka.online import training  # noqa: E402

passed: Counter[str] = Counter()


def pass_by(point: str) -> None:
    """Send this process SIGKILL, or raise, where its test says so."""
    passed.update([point, "any"])
    for victim, name, number in options.kill:
        if victim == index and name in (point, "any") and passed[name] == number:
            os.kill(os.getpid(), signal.SIGKILL)
    if options.fail == [index, point]:
        raise RuntimeError(f"process {index} fails at {point}")


def build() -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input((COLUMNS,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    model.compile("adam", loss, weighted_metrics=["accuracy"])
    made.append(model)
    return model


def train(model: keras.Model, batches: Any) -> None:
    pass_by("train")
    rows = [np.concatenate(each) for each in zip(*batches.as_numpy_iterator(), strict=True)]
    features, _, weights = rows
    # The first column is the record's number, in thousandths.
    numbers = np.rint(features[weights > 0, 0] * 1000).astype(int).tolist()
    seen.append({"numbers": numbers, "rows": len(weights), "steps": len(batches)})
    model.fit(batches, verbose=0, callbacks=[marker])


def marked(save: Any) -> Any:
    def save_between_points(path: Path, header: Any, arrays: Any) -> None:
        name = path.name.partition("-")[0]
        pass_by(f"before {name}")
        save(path, header, arrays)
        pass_by(f"behind {name}")

    return save_between_points


def learn() -> online.Progress:
    stream = online.Stream(
        options.topic,
        CsvDecoder(COLUMNS, label="key"),
        options.servers,
        mini_dataset=options.mini_dataset,
        stream_timeout=options.stream_timeout,
        on_bad_record=options.on_bad_record,
    )
    return online.learn(
        options.folder_of(index),
        stream,
        build,
        train,
        seed=options.seeds[index] if options.seeds else SEED,
        notify=lambda line: print(line, flush=True),
        shards=options.shards,
        process=(index, count),
        batch_size=options.batch_size,
        export_if=(lambda metrics: metrics["accuracy"] > 0) if options.judged else None,
        export_s=0,
        metrics_port=0 if options.metered else None,
    )


seen: list[dict[str, Any]] = []
marker = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: pass_by("step"))
training.save = marked(training.save)
made: list[keras.Model] = []


try:
    progress = learn()
except TfkafkaError as error:
    print(f"error: {error}", flush=True)
    sys.exit(1)
variables = [*made[0].variables, *made[0].optimizer.variables]
options.write(
    index,
    {
        "weights": [each.numpy().tobytes().hex() for each in variables],
        "values": [each.numpy().astype(float).ravel().tolist() for each in variables],
        "seen": seen,
        "mini_datasets": progress.mini_datasets,
        "records": progress.records,
        "positions": sorted(progress.positions.items()),
        "history": progress.history,
        "counts": progress.counts.numbers(),
    },
)
