"""Online learning that survives kill -9: model, optimizer and next offsets are saved together.

The offset ranges of a mini dataset are written to the disk before it is trained on, and the state
after it. So a process that was killed trains on the same records again, from the same state and
with the same random numbers: the weights are those of a run that was never killed, bit by bit.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, overload

import keras
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.metrics.metrics import Metrics
from tfkafka.online.checkpoints import locked
from tfkafka.online.exports import ExportIf, Exports
from tfkafka.online.history import Evaluate, EvaluateBatches
from tfkafka.online.processes import Processes
from tfkafka.online.progress import Progress
from tfkafka.online.sharding import checked_sharding, distribution, refuse_arrays
from tfkafka.online.stream import Stream
from tfkafka.online.tensorflow_threads import TENSORFLOW
from tfkafka.online.training import Task, Training
from tfkafka.reading.sharding import Shard

KEPT = 3
KEPT_EXPORTS = 10
EXPORT_S = 60.0
# What NumPy takes.
LARGEST_SEED = 2**32 - 1

# Called with the model, the features and the labels, and with sample weights where there are any.
Train = (
    Callable[[keras.Model, NDArray[Any], NDArray[Any]], None]
    | Callable[[keras.Model, Mapping[str, NDArray[Any]], NDArray[Any]], None]
    | Callable[[keras.Model, NDArray[Any], NDArray[Any], NDArray[Any]], None]
    | Callable[[keras.Model, Mapping[str, NDArray[Any]], NDArray[Any], NDArray[Any]], None]
)
# With shards.
TrainOnBatches = Callable[[keras.Model, tf.data.Dataset[Any]], None]


@overload
def learn(
    folder: Path | str,
    stream: Stream,
    build: Callable[[], keras.Model],
    train: Train,
    *,
    seed: int,
    evaluate: Evaluate | None = None,
    keep: int = KEPT,
    export_s: float = EXPORT_S,
    export_if: ExportIf | None = None,
    keep_exports: int = KEPT_EXPORTS,
    notify: Callable[[str], None] = print,
    metrics_port: int | str | None = None,
    shards: None = None,
    process: None = None,
    batch_size: None = None,
) -> Progress: ...


@overload
def learn(
    folder: Path | str,
    stream: Stream,
    build: Callable[[], keras.Model],
    train: TrainOnBatches,
    *,
    seed: int,
    evaluate: EvaluateBatches | None = None,
    keep: int = KEPT,
    export_s: float = EXPORT_S,
    export_if: ExportIf | None = None,
    keep_exports: int = KEPT_EXPORTS,
    notify: Callable[[str], None] = print,
    metrics_port: int | str | None = None,
    shards: int,
    process: Shard | None = None,
    batch_size: int | None = None,
) -> Progress: ...


def learn(
    folder: Path | str,
    stream: Stream,
    build: Callable[[], keras.Model],
    train: Train | TrainOnBatches,
    *,
    seed: int,
    evaluate: Evaluate | EvaluateBatches | None = None,
    keep: int = KEPT,
    export_s: float = EXPORT_S,
    export_if: ExportIf | None = None,
    keep_exports: int = KEPT_EXPORTS,
    notify: Callable[[str], None] = print,
    metrics_port: int | str | None = None,
    shards: int | None = None,
    process: Shard | None = None,
    batch_size: int | None = None,
) -> Progress:
    """Train on a stream, mini dataset by mini dataset, and continue where the last process ended.

    TensorFlow's op determinism is turned on. Before each mini dataset the random state of Python,
    NumPy and TensorFlow is set from `seed` and the mini dataset's number. Seed generators inside
    the model (Keras' own layers have them) are saved with the weights. With the same machine and
    the same versions the weights are the same, bit by bit, wherever processes were killed.

    Each mini dataset is evaluated before it is trained on, so its records are new to the model. The
    metrics are in `history`, in the line about the mini dataset, and in `history.jsonl`, a line of
    JSON for each mini dataset.

    `exports` in the folder has the exported models, `model-NUMBER-DIGEST.keras`: the number of mini
    datasets that the model was trained on, and 12 digits of its weights' sha256. Each appears in
    one step, with a manifest beside it that says which records made it: see
    `KafkaDataset.from_manifest`. `exactly_once.ExportedModels` predicts with the newest one.
    `model.keras` and `model.manifest.json` in the folder are copies of the newest ones.

    With `shards`, several processes of JAX learn together; each calls this with the same arguments
    but for `process`. A mini dataset is cut into equal shards, and each process reads its own. In
    each process `train(model, batches)` is called, and so is `evaluate`, with a `tf.data.Dataset`
    of (features, label, sample weight): the same number of steps in each, all of one static shape,
    filled with rows of weight 0. The rows of a shard are shuffled, by `seed`. The global batches do
    not depend on the number of processes, which may be another one in the next run. Process 0 alone
    uses the folder, and calls `export_if` and `notify`; its metrics count. A process that fails or
    dies ends all of them.

    Returns at the end of the stream, or on SIGTERM (in the main thread, of any process) after the
    current mini dataset, with everything saved.

    Args:
        folder: the folder for the state, the plans, the history and the exported models.
        stream: the stream to train on.
        build: returns the compiled model; called once.
        train: called with the model and the decoder's arrays of a mini dataset: features, labels
            and, where it has them, sample weights, [n, ...] each. The partitions follow one
            another, each in its order: shuffle them.
        seed: the seed of all random numbers.
        evaluate: called as `train` is, before it, and returns numbers by their names. It must not
            change the model. None: `model.evaluate`; a model without a loss then has no metrics.
        keep: the number of saved states to keep, at least 1; the older ones are used where the
            newest is damaged.
        export_s: seconds between two exports; the end exports too, and a process that continues.
        export_if: called with the metrics of a model on the mini dataset that follows those that it
            was trained on; False: it is not exported, and the next one is judged. A model is then
            exported when the next mini dataset has judged it, and the last one not at the end.
            None: each is exported when it is trained.
        keep_exports: the number of exported models to keep, at least 1.
        notify: called with a line about each mini dataset, each damaged file, and each model that
            is not exported.
        metrics_port: a port of 127.0.0.1, or `HOST:PORT`, where Prometheus reads metrics at
            `/metrics` and a monitor the health at `/healthz` until learning ends; 0: a free port,
            which is passed to `notify`; None: nothing is counted. Each process counts its own.
        shards: the number of equal parts of a mini dataset, a multiple of the number of processes;
            None: it is not divided, and one process learns.
        process: (index, count), the number of this process and that of all, as they were given to
            `jax.distributed.initialize` before; "jax": as JAX numbers them; None: (0, 1).
        batch_size: with `shards`, the rows of each shard in a step: a step has
            `shards * batch_size`. None: 32.

    Raises:
        CheckpointError: another process learns in this folder; the folder belongs to another
            topic, mini_dataset, seed, model, shards or batch_size; all states are damaged; the disk
            is full; or a mini dataset made weights or optimizer variables that are not finite. What
            was saved remains valid. In the last case the same call trains on the same mini dataset
            again.
        TopicError: there is no such topic or dead letter topic, or the topic was created again
            since the folder was created.
        OffsetError, ReadError: see `reading.ranges`.
        BadRecordError, WriteError: see `decoding.bad_records`.
        ProcessError: another process has failed or ended. This one then ends at its end without
            waiting for the others, with status 1.
        MetricsError: `metrics_port` is in use, or prometheus-client is not installed.
        ForkError: TensorFlow was used before this process was forked.
        TypeError, ValueError: an argument is wrong; or the mini dataset cannot be evaluated; or
            there is `export_if`, and the model has no metrics; or there are shards, and Keras does
            not use JAX, or the processes differ in their arguments.

    Example:
        from tfkafka.online import learn

        def build():
            model = keras.Sequential([keras.layers.Input([18]), keras.layers.Dense(1, "sigmoid")])
            model.compile("adam", "binary_crossentropy")
            return model

        def train(model, features, labels):
            model.fit(features, labels, batch_size=64, verbose=0)

        learn("state", stream, build, train, seed=7)  # stream: see Stream
    """
    sharding = checked_sharding(shards, process, batch_size)
    index, count = (0, 1) if sharding is None else (sharding.index, sharding.count)
    with _sigterm() as is_stopped, ExitStack() as stack:
        processes = Processes(index, count, is_stopped)
        stack.enter_context(processes.leaving())
        folder = arguments.path("folder", folder)
        arguments.instance("stream", stream, Stream, "a Stream")
        for name, function in (("build", build), ("train", train), ("notify", notify)):
            arguments.function(name, function)
        arguments.optional(arguments.function, "evaluate", evaluate)
        seed = arguments.whole_number("seed", seed, 0, LARGEST_SEED)
        keep = arguments.whole_number("keep", keep, 1)
        export_s = arguments.seconds("export_s", export_s, math.inf)
        arguments.optional(arguments.function, "export_if", export_if)
        keep_exports = arguments.whole_number("keep_exports", keep_exports, 1)
        if sharding is not None:
            refuse_arrays("train", train)
            refuse_arrays("evaluate", evaluate)
            sharding.refuse_others()
        TENSORFLOW.refuse("learn")
        metrics = stack.enter_context(closing(Metrics(metrics_port)))
        tf.config.experimental.enable_op_determinism()
        exports = Exports(folder, keep_exports, export_s, export_if, notify)
        task = Task(folder, stream, build, train, evaluate, seed, keep, exports, notify, sharding)
        processes.each(lambda: _begin(stack, task, processes, metrics))
        stack.enter_context(distribution(sharding))
        training = Training(task, processes, metrics.meter)
        metrics.meter.observe(training)
        while (mini := training.next()) is not None:
            training.train_on(mini)
            metrics.meter.progressed()
        training.end()
        return training.progress


def _begin(stack: ExitStack, task: Task, processes: Processes, metrics: Metrics) -> None:
    """Lock the folder, which only the first process has; serve metrics."""
    if processes.is_first:
        stack.enter_context(locked(task.folder))
        task.exports.clean()
    metrics.open()
    if metrics.port is not None:
        task.notify(f"metrics: port {metrics.port}, /metrics and /healthz")


@contextmanager
def _sigterm() -> Iterator[Callable[[], bool]]:
    """Defer SIGTERM; yield a function that returns whether it has arrived."""
    noted = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    former = signal.signal(signal.SIGTERM, lambda number, _frame: noted.append(number))
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGTERM, former)
