"""A worker of exactly-once inference in a process of its own, for tests that kill it.

`python -m tests.faults.worker_child '{"servers": ..., ...}'`, see `Options`. Each commit is a line
`committed RECORDS SECONDS` on stdout, with the records that this process has committed and the
system's monotonic clock.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

import confluent_kafka
import numpy as np
from confluent_kafka import Producer

from tfkafka.client import transactions
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.errors import TfkafkaError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, pipeline

POINTS = ("begin", "produced", "offsets", "committed")


@dataclass(frozen=True)
class Options:
    """`kill` and `freeze` are (one of POINTS, number of the transaction, from 1); `model_s` a
    model's call.

    `hang`: the transaction whose offsets are never answered; `progress_s`, and from that
    transaction on `transaction_s`, replace the worker's own deadlines. `json`: the job of
    `json_job`, with its model.
    """

    servers: str
    topic: str
    predictions: str
    group: str
    worker: str = "1"
    records: int = 500
    stream_timeout: int = 0
    model_s: float = 0.0
    slow_call: int | None = None
    slow_s: float = 0.0
    json: bool = False
    kill: tuple[str, int] | None = None
    freeze: tuple[str, int] | None = None
    hang: int = 0
    transaction_timeout: int = 10_000
    broker_timeout: int = 60_000
    progress_s: float = transactions.PROGRESS_S
    transaction_s: float = transactions.TRANSACTION_S
    configuration: dict[str, object] = field(default_factory=dict)


class MarkedProducer(Producer):
    """Kills or freezes its process, or hangs, at a marked point of a chosen transaction of all
    producers, or of the first one after it that comes there: a slow broker may abort the chosen.
    """

    point: tuple[str, int] = ("", 0)
    sends = signal.SIGKILL
    hang = 0
    transaction_s = transactions.TRANSACTION_S
    transactions = 0

    def begin_transaction(self) -> None:
        MarkedProducer.transactions += 1
        self._reach("begin")
        super().begin_transaction()

    def send_offsets_to_transaction(self, *args) -> None:
        if self._is_at("produced"):
            self.flush(10)  # so that the log has what must not count
        self._reach("produced")
        if self.hang == self.transactions:
            self.flush(10)
            pipeline.TRANSACTION_S = self.transaction_s
            threading.Event().wait()
        super().send_offsets_to_transaction(*args)
        if self._is_at("offsets"):
            self.flush(10)
        self._reach("offsets")

    def commit_transaction(self, *args) -> None:
        super().commit_transaction(*args)
        self._reach("committed")

    def _is_at(self, point: str) -> bool:
        name, number = self.point
        return name == point and self.transactions >= number

    def _reach(self, point: str) -> None:
        if self._is_at(point):
            MarkedProducer.point = ("", 0)
            os.kill(os.getpid(), self.sends)


def stand_in(features: np.ndarray) -> np.ndarray:
    """A model for tests: the first column is the probability."""
    return features[:, 0]


def _model(options: Options):
    calls = 0

    def predict(features: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        time.sleep(options.slow_s if calls == options.slow_call else options.model_s)
        return stand_in(features)

    return predict


def _job(options: Options) -> InferenceJob:
    where = ([options.topic], options.predictions, options.group, options.worker)
    if not options.json:
        return InferenceJob(_model(options), CsvDecoder(2), *where)
    from tests.faults.json_job import DECODE, ENCODER, make_predict

    return InferenceJob(make_predict(), DECODE, *where, encoder=ENCODER)


def main() -> None:
    options = Options(**json.loads(sys.argv[1]))
    transactions.PROGRESS_S = options.progress_s
    MarkedProducer.point = tuple(options.kill or options.freeze or ("", 0))
    MarkedProducer.sends = signal.SIGKILL if options.kill else signal.SIGSTOP
    MarkedProducer.hang, MarkedProducer.transaction_s = options.hang, options.transaction_s
    confluent_kafka.Producer = MarkedProducer
    worker = ExactlyOnceInference(
        _job(options),
        options.servers,
        transaction_records=options.records,
        transaction_wait=100,
        stream_timeout=options.stream_timeout,
        transaction_timeout=options.transaction_timeout,
        broker_timeout=options.broker_timeout,
        configuration=options.configuration,
        on_commit=lambda counts: print("committed", counts.read, time.monotonic(), flush=True),
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    try:
        worker.run()
    except TfkafkaError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print("ended", worker.restarts, worker.rebalances, flush=True)


if __name__ == "__main__":
    main()
