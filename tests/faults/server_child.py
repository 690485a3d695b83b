"""A worker that predicts with a folder's newest model, and is killed -9 where its test says so.

It is a fork of the server of `learner_child`, which has imported TensorFlow.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults import learner_child


@dataclass(frozen=True)
class Options:
    """What a worker is to do.

    Attributes:
        kill: (point, n): where it kills itself, when it comes there for the n-th time: at a point
            of `worker_child`, or "load", when it has loaded a model.
    """

    servers: str
    topic: str
    predictions: str
    group: str
    exports: Path
    kill: tuple[str, int] | None = None
    stream_timeout: int = -1

    def but(self, **changes) -> Options:
        return replace(self, **changes)


def start(options: Options):
    """The process, started."""
    process = learner_child.context().Process(target=_serve, args=(options,), daemon=True)
    process.start()
    return process


def _serve(options: Options) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import confluent_kafka

    from tests.faults.worker_child import MarkedProducer
    from tfkafka import CsvDecoder
    from tfkafka.exactly_once import ExactlyOnceInference, ExportedModels, InferenceJob

    MarkedProducer.point = options.kill or ("", 0)
    confluent_kafka.Producer = MarkedProducer
    _mark_loading(options)
    job = InferenceJob(
        ExportedModels(options.exports),
        CsvDecoder(learner_child.COLUMNS, label="key"),
        options.topic,
        options.predictions,
        options.group,
    )
    worker = ExactlyOnceInference(
        job,
        options.servers,
        transaction_records=40,
        transaction_wait=100,
        stream_timeout=options.stream_timeout,
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


def _mark_loading(options: Options) -> None:
    from tfkafka.exactly_once import exported_models

    load, loaded = exported_models.load_keras_predict, []

    def marked_load(path: Path):
        model = load(path)
        loaded.append(path)
        if options.kill == ("load", len(loaded)):
            os.kill(os.getpid(), signal.SIGKILL)
        return model

    exported_models.load_keras_predict = marked_load
