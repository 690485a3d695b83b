"""One process that does everything again and again: memory, threads and descriptors stay flat.

SOAK_MINUTES says how long (30). The first sixth is for caches to fill. `make soak`.

TensorFlow itself keeps 6.5 kB of each dataset that is made of a generator, forever: seen without
tfkafka, with TensorFlow 2.16 (https://github.com/tensorflow/tensorflow/issues/57690). A round makes
13 of them. polars keeps a pool of threads, and starts one more when more of its reads overlap than
ever before: 300 reads in each of four threads took it from 4 to 9, seen without tfkafka, with
polars 2.1 on 2 cores. That pool may grow, up to a bound.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tfkafka import Admin, CsvDecoder, write
from tfkafka.testing.brokers.embedded import EmbeddedBroker

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
WARM_UP = 1 / 6
MOST_MB, MOST_MORE = 20.0, 0
POOL_OF_POLARS, MOST_OF_POLARS = "tokio-rt-worker", 16
PARTITIONS = 2
RECORDS = 2_000
COLUMNS = 4
MADE_AND_DROPPED = 5
SHOWN = 20
REPORT = Path(__file__).parents[2] / "reports" / "soak.txt"
FROM_BEGIN = {"auto.offset.reset": "earliest"}
REQUEST_S = 30.0


@dataclass(frozen=True)
class Sample:
    """What the process uses between two rounds, when no dataset is alive.

    `threads` has all but those of polars' pool.
    """

    seconds: float
    rss_mb: float
    threads: int
    descriptors: int
    names: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.seconds:7.0f} s {self.rss_mb:8.1f} MB {self.threads:4} threads "
            f"{self.descriptors:4} descriptors"
        )


def growth(samples: list[Sample]) -> Sample:
    """Return by how much the median of the last third is above that of the first."""
    third = max(1, len(samples) // 3)

    def grown(name: str) -> float:
        first, last = (
            statistics.median(getattr(each, name) for each in part)
            for part in (samples[:third], samples[-third:])
        )
        return last - first

    return Sample(*(grown(each) for each in ("seconds", "rss_mb", "threads", "descriptors")))


def take_sample(process: psutil.Process, begun: float) -> Sample:
    """Measure after a collection, and after malloc has returned what is free.

    Without the latter, RSS has what glibc's arenas keep for later: it says how large the largest
    round was, and not what is still in use.
    """
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    names = thread_names(process)
    return Sample(
        time.monotonic() - begun,
        process.memory_info().rss / 1e6,
        process.num_threads() - names[POOL_OF_POLARS],
        process.num_fds(),
        names,
    )


def thread_names(process: psutil.Process) -> Counter[str]:
    """Count the threads by their names without numbers: Python's, and those of the kernel."""
    known = Counter(re.sub(r"\d+", "N", each.name) for each in threading.enumerate())
    for thread in process.threads():
        with contextlib.suppress(OSError):
            known[Path(f"/proc/self/task/{thread.id}/comm").read_text().strip()] += 1
    return known


class Round:
    """What each round does with the records that it has written."""

    def __init__(self, servers: str, folder: Path):
        import keras

        self._servers, self._folder = servers, folder
        self._admin = Admin(servers)
        self._client = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._decode = CsvDecoder(COLUMNS, label="key")
        self._random = np.random.default_rng(1)
        for topic in ("soak", "predictions"):
            self._admin.create_topic(topic, PARTITIONS)
        # Keras keeps something of each model that is made: not what is measured here.
        self._fitted, self._learnt = (
            keras.Sequential([keras.layers.Input((COLUMNS,)), keras.layers.Dense(1, "sigmoid")])
            for _ in range(2)
        )
        for model in (self._fitted, self._learnt):
            model.compile("sgd", "binary_crossentropy")

    def run(self) -> None:
        self._write()
        for work in (self._loop, self._fit, self._predict, self._learn, self._make_and_drop):
            work()
        self._delete_records()

    def _write(self) -> None:
        rows = self._random.normal(size=(RECORDS, COLUMNS)).tolist()
        values = [",".join(map(str, row)) for row in rows]
        keys = [str(float(sum(row) > 0)) for row in rows]
        write(self._servers, "soak", values, keys)

    def _group(self, group: str, **options):
        import tfkafka

        return tfkafka.KafkaGroupDataset(
            "soak",
            group,
            self._servers,
            configuration=FROM_BEGIN,
            decode=self._decode,
            batch_size=64,
            **options,
        )

    def _loop(self) -> None:
        read = sum(len(features) for features, _ in self._group("loop"))
        assert read == RECORDS, f"the loop read {read} of {RECORDS} records"

    def _fit(self) -> None:
        import tfkafka

        stream = self._group("fit")
        callbacks = [tfkafka.CommitCallback(stream)]
        self._fitted.fit(stream, verbose=0, callbacks=callbacks)

    def _predict(self) -> None:
        from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob

        job = InferenceJob(
            lambda features: features[:, 0], self._decode, ["soak"], "predictions", "exactly-once"
        )
        counts = ExactlyOnceInference(job, self._servers).run()
        assert counts.used == RECORDS, counts

    def _learn(self) -> None:
        from tfkafka.online import Stream, learn

        def train(model, features, labels) -> None:
            model.train_on_batch(features, labels)

        stream = Stream(
            "soak", self._decode, self._servers, mini_dataset=RECORDS // 4, stream_timeout=0
        )
        before = getattr(self, "_learnt_records", 0)
        progress = learn(
            self._folder, stream, lambda: self._learnt, train, seed=7, notify=lambda _: None
        )
        self._learnt_records = progress.records
        assert progress.records - before == RECORDS, progress

    def _make_and_drop(self) -> None:
        import tfkafka

        for number in range(MADE_AND_DROPPED):
            dataset = tfkafka.KafkaDataset(
                "soak", servers=self._servers, decode=self._decode, batch_size=64
            )
            assert sum(1 for _ in dataset) > 0
            self._take_some(dataset)
            self._take_some(
                self._group(f"dropped-{number}", auto_commit=False, on_missing_offsets="earliest")
            )

    @staticmethod
    def _take_some(dataset) -> None:
        """Break off after a few elements."""
        assert len(list(islice(dataset, 3))) == 3

    def _delete_records(self) -> None:
        """The broker keeps no more than the records of one round."""
        ends = [
            TopicPartition(topic, *end)
            for topic in ("soak", "predictions")
            for end in self._admin.end_offsets(topic).items()
        ]
        for done in self._client.delete_records(ends).values():
            done.result(REQUEST_S)


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 900)
def test_memory_threads_and_descriptors_stay_flat(kafka_factory, tmp_path, capsys):
    broker: EmbeddedBroker = kafka_factory(progress=False)
    work = Round(broker.bootstrap_servers, tmp_path / "learner")
    process = psutil.Process()
    begun = time.monotonic()
    samples = []
    while time.monotonic() < begun + 60 * MINUTES:
        work.run()
        samples.append(take_sample(process, begun))
    warm = [each for each in samples if each.seconds >= 60 * MINUTES * WARM_UP]
    assert len(warm) >= 6, f"{len(warm)} rounds are too few: give more SOAK_MINUTES"
    grown = growth(warm)
    lines = [
        f"{len(samples)} rounds in {MINUTES:g} min, {len(warm)} of them after the warm-up",
        *map(str, samples[:: max(1, len(samples) // SHOWN)]),
        f"grown by {grown.rss_mb:+.1f} MB, {grown.threads:+g} threads, "
        f"{grown.descriptors:+g} descriptors",
        f"threads that are new since the warm-up: {dict(warm[-1].names - warm[0].names)}",
    ]
    report = "\n".join(lines)
    with capsys.disabled():
        print(f"\n{report}")
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report + "\n")
    assert grown.rss_mb < MOST_MB, report
    assert warm[-1].names[POOL_OF_POLARS] <= MOST_OF_POLARS, report
    assert grown.threads <= MOST_MORE and grown.descriptors <= MOST_MORE, report
