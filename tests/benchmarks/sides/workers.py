"""Exactly-once workers in processes of their own: how they add up, join, and how late they are.

Their model only waits, so that what is measured is Kafka's group and tfkafka, not the cores.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

import tfkafka
from tests.benchmarks.meter import Meter, Sample
from tests.benchmarks.worker import Round
from tests.faults.harness import Commit, Worker
from tests.faults.worker_child import Options
from tfkafka.config import FOREVER
from tfkafka.exactly_once.origins import SOURCE
from tfkafka.testing import wait_for

BATCH_RECORDS = 20
MODEL_S = 0.05
# What is counted begins so long after the last worker's first commit, and takes so long.
SETTLE_S, WINDOW_S = 1.0, 6.0
DEADLINE_S = 120.0

RATE = 1000
TICK_S = 0.01
WARM_S, LATENCY_S = 5, 20


def together(
    servers: str, topic: str, predictions: str, group: str, records: int, workers: int
) -> Round:
    """So many workers at once; the time is that of all records at the rate of the window."""

    def once(number: int) -> Sample:
        where = Options(servers, topic, predictions, f"{group}-{workers}-{number}")
        with _crew(where) as crew:
            for name in range(workers):
                crew.start(str(name))
            wait_for(crew.all_commit, "each worker to commit", DEADLINE_S)
            begin = max(each.commits[0].seconds for each in crew.workers) + SETTLE_S
            wait_for(lambda: crew.all_after(begin), "the group to settle", DEADLINE_S)
            meter = Meter()
            wait_for(lambda: crew.all_after(begin + WINDOW_S), "the window to end", DEADLINE_S)
            sample = meter.stop()
            done = [_between(each.commits, begin, begin + WINDOW_S) for each in crew.workers]
            left = records - sum(each.records for each in crew.workers)
            assert left > 0 and min(done) > 0, f"{done}, {left} left: the topic is too short"
        rate = sum(done) / WINDOW_S
        return replace(sample, wall_s=records / rate, cpu_s=None, span_s=sample.wall_s)

    return once


def joining(servers: str, topic: str, predictions: str, group: str) -> Round:
    """The longest time without a commit of a worker while a second one joins."""

    def once(number: int) -> Sample:
        with _crew(Options(servers, topic, predictions, f"{group}-joined-{number}")) as crew:
            first = crew.start("first")
            first.wait_for_records(10 * BATCH_RECORDS)
            meter = Meter()
            second = crew.start("second")
            second.wait_for_records(1)
            until = second.commits[0].seconds + SETTLE_S
            wait_for(lambda: _is_after(first, until), "the first to go on", DEADLINE_S)
            sample = meter.stop(to_the_commit_of_the_second=until - SETTLE_S - second.started)
            times = [each.seconds for each in first.commits if each.seconds >= second.started - 1]
        stall = max(later - earlier for earlier, later in pairwise(times))
        return replace(sample, wall_s=stall, cpu_s=None, span_s=sample.wall_s)

    return once


def latency(servers: str, topic: str, predictions: str, group: str) -> Round:
    """From a record's timestamp, which the broker gives it, to its committed prediction.

    The broker and the consumer that takes predictions are on one machine, with one clock. `wall_s`
    is the median of all records, and `apart` has the 99th percentile.
    """
    admin = tfkafka.Admin(servers)

    def once(number: int) -> Sample:
        names = [f"{name}-{number}" for name in (topic, predictions)]
        admin.create_topic(names[0], 2, settings={"message.timestamp.type": "LogAppendTime"})
        admin.create_topic(names[1], 2)
        options = Options(servers, *names, f"{group}-late-{number}")
        try:
            with _crew(replace(options, stream_timeout=FOREVER)) as crew, _writing(options):
                crew.start("only", model_s=0.0, records=10_000)
                arrived, sample = _arrivals(options)
            seconds = _latencies(options, arrived)
        finally:
            for name in names:
                admin.delete_topic(name)
        late = np.percentile(seconds, [50, 99])
        apart = {"99th percentile": float(late[1]), "longest": float(max(seconds))}
        return replace(sample, wall_s=float(late[0]), cpu_s=None, span_s=sample.wall_s, apart=apart)

    return once


class _Crew:
    def __init__(self, options: Options):
        self._options = options
        self.workers: list[Worker] = []

    def start(self, name: str, **chosen: object) -> Worker:
        waiting = {"records": BATCH_RECORDS, "model_s": MODEL_S, "stream_timeout": FOREVER}
        self.workers.append(Worker(replace(self._options, worker=name, **waiting | chosen)))
        return self.workers[-1]

    def all_commit(self) -> bool:
        assert all(each.process.poll() is None for each in self.workers), "a worker has ended"
        return all(each.commits for each in self.workers)

    def all_after(self, seconds: float) -> bool:
        assert self.all_commit()
        return all(_is_after(each, seconds) for each in self.workers)


@contextlib.contextmanager
def _crew(options: Options) -> Iterator[_Crew]:
    """Workers that end with the block; none has begun again."""
    crew = _Crew(options)
    try:
        yield crew
        for each in crew.workers:
            each.send(signal.SIGTERM)
        for each in crew.workers:
            each.finish()
            assert each.restarts == 0, each.errors()
    finally:
        for each in crew.workers:
            each.process.kill()
            each.end()


def _is_after(worker: Worker, seconds: float) -> bool:
    return worker.commits[-1].seconds > seconds


def _between(commits: Sequence[Commit], begin: float, end: float) -> int:
    """How many records were committed in a time."""
    before, after = (
        max((each.records for each in commits if each.seconds <= limit), default=0)
        for limit in (begin, end)
    )
    return after - before


@contextlib.contextmanager
def _writing(options: Options) -> Iterator[None]:
    """Write RATE records a second while the block runs."""
    over = threading.Event()
    producer = Producer({"bootstrap.servers": options.servers, "linger.ms": 5})

    def write() -> None:
        begun, sent = time.monotonic(), 0
        while not over.wait(TICK_S):
            for _ in range(int((time.monotonic() - begun) * RATE) - sent):
                producer.produce(options.topic, b"0.5,1", partition=sent % 2)
                sent += 1
            producer.poll(0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        assert producer.flush(DEADLINE_S) == 0


def _arrivals(options: Options) -> tuple[dict[tuple[int, int], float], Sample]:
    """When each prediction was there for a consumer of committed ones, by its record's place.

    Without those of the first seconds.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": options.servers,
            "group.id": f"{options.group}-judge",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(options.predictions, partition, 0) for partition in (0, 1)])
    arrived: dict[tuple[int, int], float] = {}
    meter, until = Meter(), time.monotonic() + DEADLINE_S
    begun: float | None = None
    while begun is None or time.monotonic() < begun + WARM_S + LATENCY_S:
        assert time.monotonic() < until, "there are no predictions"
        for message in consumer.consume(1000, 0.1):
            assert message.error() is None, message.error()
            if begun is None:
                begun, meter = time.monotonic(), Meter()
            headers = dict(message.headers())
            if time.monotonic() > begun + WARM_S:
                _, partition, offset, _ = headers[SOURCE].split(b"/", 3)
                arrived[int(partition), int(offset)] = time.time()
    consumer.close()
    return arrived, meter.stop()


def _latencies(options: Options, arrived: dict[tuple[int, int], float]) -> list[float]:
    assert len(arrived) > 0.8 * RATE * LATENCY_S, f"only {len(arrived)} predictions"
    seconds = []
    with tfkafka.read(options.topic, servers=options.servers, metadata=True) as chunks:
        for *_, where in chunks:
            places = zip(where.partition.tolist(), where.offset.tolist(), strict=True)
            for place, appended_ms in zip(places, where.timestamp.tolist(), strict=True):
                if place in arrived:
                    seconds.append(arrived[place] - appended_ms / 1000)
    assert len(seconds) == len(arrived)
    return seconds
