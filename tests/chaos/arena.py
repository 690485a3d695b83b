"""A cluster, writers that write, and readers that read.

A proxy is before each broker where it may be cut off.
"""

from __future__ import annotations

import operator
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.chaos import readers
from tests.chaos.judging import value_of
from tests.chaos.plan import FIRST_PARTITIONS, MOST_PARTITIONS
from tests.chaos.readers import ERRORS, MOST_RECORDS, QUICK, Place
from tests.faults.harness import Worker
from tests.faults.proxy import Proxy
from tests.faults.worker_child import Options
from tfkafka import Admin, write
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.embedded import EmbeddedCluster

KEPT, AGAIN, SHORTENED, PREDICTIONS = "kept", "again", "shortened", "predictions"
EXACTLY_ONCE = "exactly-once"
REPLICAS = 3
BATCH = 40
PACE_S = 0.2
WRITE_S = 20.0
# One request; one that was sent to a broker just before it died gets no answer.
REQUEST_S = 10.0
GRANTED_S = 120.0
END_S = 60.0


class Writer:
    """A thread that writes numbered records to the partitions of a topic in turn.

    Attributes:
        acknowledged: the numbers of each `write` that returned; those of one that failed may be in
            Kafka or not, and are not written again.
        newest: the last number that was acknowledged in each partition, -1 where none was.
        incarnation: how often the topic was created before; part of each record where `marked`.
    """

    def __init__(self, servers: str, topic: str, seed: int, marked: bool = False):
        self.topic, self.incarnation = topic, 0
        self.acknowledged: list[np.ndarray] = []
        self.errors: Counter[str] = Counter()
        self.newest = [-1] * MOST_PARTITIONS
        self.may_write = threading.Lock()
        self.partitions = FIRST_PARTITIONS
        self._servers, self._marked = servers, marked
        self._random = random.Random(f"{seed} {topic}")
        self._next = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(WRITE_S + END_S)
        assert not self._thread.is_alive(), f"the writer to {self.topic} does not end"

    def _write_on(self) -> None:
        turn = 0
        while not self._stopped.wait(PACE_S) and self._next + BATCH <= MOST_RECORDS:
            with self.may_write:
                turn += 1
                self._write(turn % self.partitions)

    def _write(self, partition: int) -> None:
        numbers = np.arange(self._next, self._next + BATCH)
        self._next += BATCH
        values = [value_of(number, self._first(number)) for number in numbers.tolist()]
        keys = [self._random.choice(["0.0", "1.0"]) for _ in values]
        try:
            write(self._servers, self.topic, values, keys, partition=partition, timeout_s=WRITE_S)
        except TfkafkaError as error:
            self.errors[type(error).__name__] += 1
            return
        self.acknowledged.append(numbers)
        self.newest[partition] = int(numbers[-1])

    def _first(self, number: int) -> object:
        return self.incarnation if self._marked else number % 1000 / 1000


@dataclass
class Child:
    """A reader in a process of its own that can be killed and paused."""

    name: str
    place: Place
    read: Callable[[Place], None]
    crashes: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._process = readers.context.Process(
            target=readers.run, args=(self.read, self.place), daemon=True
        )
        self._process.start()

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(END_S)

    def tend(self) -> None:
        """Start it again where it has crashed: it never ends by itself."""
        if not self._process.is_alive():
            self.crashes.append(f"unexpected: ended with status {self._process.exitcode}")
            self.start()

    def has_used(self, goal: list[int], _since: float) -> bool:
        """Return whether it has used these numbers, one of each partition, or later ones."""
        return all(map(operator.ge, self.place.newest, goal))

    def finish(self) -> None:
        """Everything is used and recorded: nothing can be lost any more."""
        self.kill()

    def errors(self) -> list[str]:
        path = self.place.folder / ERRORS
        return [*self.crashes, *(path.read_text().splitlines() if path.exists() else [])]


class ExactlyOnceChild:
    """A worker of exactly-once inference, which `Worker` runs."""

    def __init__(self, name: str, place: Place, worker: str):
        self.name, self.place = name, place
        self._options = Options(
            place.servers,
            place.topic,
            PREDICTIONS,
            place.group,
            worker,
            records=200,
            stream_timeout=-1,
            configuration=QUICK,
        )
        self._errors: list[str] = []
        self._before = 0

    def start(self) -> None:
        self._worker = Worker(self._options)
        readers.after_brokers(self._worker.process.pid)

    def send(self, number: signal.Signals) -> None:
        self._worker.send(number)

    def kill(self) -> None:
        self._worker.kill()

    def tend(self) -> None:
        """Start it again where it has ended with an error."""
        if self._worker.process.poll() is not None:
            lines = self._worker.errors().splitlines() or ["no word"]
            is_ours = self._worker.end() == 1 and "Traceback" not in lines[0]
            self._errors.append(f"{'error' if is_ours else 'unexpected'}: {lines[-1]}")
            self._before += self._worker.records
            self.start()

    @property
    def committed(self) -> int:
        """The number of records that its processes have committed."""
        return self._before + self._worker.records

    def has_used(self, _goal: list[int], since: float) -> bool:
        """Return whether it has committed something since then."""
        return bool(self._worker.commits) and self._worker.commits[-1].seconds > since

    def finish(self) -> None:
        self.tend()
        self.send(signal.SIGTERM)
        if self._worker.end() != 0:
            self._errors.append(f"error: at its end: {self._worker.errors().splitlines()[-1:]}")

    def errors(self) -> list[str]:
        return self._errors


@dataclass
class Arena:
    """Everything that takes part in a chaos run."""

    cluster: EmbeddedCluster
    proxies: list[Proxy]
    folder: Path
    writers: dict[str, Writer] = field(default_factory=dict)
    readers: dict[str, Child | ExactlyOnceChild] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.direct = self.cluster.bootstrap_servers
        ways = [proxy.bootstrap_servers for proxy in self.proxies]
        self.servers = ",".join(ways) if ways else self.direct
        self.admin = Admin(self.direct)
        self._client = AdminClient({"bootstrap.servers": self.direct, "log_level": 0})

    def begin(self, seed: int, topics: tuple[str, ...] = (KEPT, AGAIN, SHORTENED)) -> None:
        """Begin to write to these topics and to read them; KEPT is always one of them."""
        for topic in (*topics, PREDICTIONS):
            self.create(topic)
        for name, topic, read in (
            ("bounded", KEPT, readers.read_bounded),
            ("group-1", KEPT, readers.read_group),
            ("group-2", KEPT, readers.read_group),
            ("mini", KEPT, readers.read_mini_datasets),
            ("learner", KEPT, readers.learn),
            (AGAIN, AGAIN, readers.follow),
            (SHORTENED, SHORTENED, readers.follow),
        ):
            if topic in topics:
                self._add(Child(name, self.place(name, topic), read))
        for worker in ("1", "2"):
            name = f"{EXACTLY_ONCE}-{worker}"
            self._add(ExactlyOnceChild(name, self.place(name, KEPT), worker))
        for topic in topics:
            self.writers[topic] = Writer(self.servers, topic, seed, marked=topic != KEPT)

    def _add(self, reader: Child | ExactlyOnceChild) -> None:
        reader.start()
        self.readers[reader.name] = reader

    def place(self, name: str, topic: str) -> Place:
        """Readers of one group write into one folder, and count as one."""
        group = name.rstrip("-12")
        for other in self.readers.values():
            if other.place.group == group:
                return other.place
        return Place(self.servers, topic, group, self.folder / group)

    def create(self, topic: str) -> None:
        self.admin.create_topic(topic, FIRST_PARTITIONS, REPLICAS)

    def add_partition(self, topic: str) -> None:
        count = self.writers[topic].partitions + 1

        def is_there() -> bool:
            if len(self.ends(topic)) < count:
                self._is_done(self._client.create_partitions([NewPartitions(topic, count)]))
            return len(self.ends(topic)) == count

        wait_for(is_there, f"{count} partitions of {topic}", GRANTED_S)
        self.writers[topic].partitions = count

    def delete_records(self, topic: str) -> None:
        """Delete all records that the topic has now, as retention does."""
        ends = [TopicPartition(topic, *end) for end in self.ends(topic).items()]

        def are_gone() -> bool:
            # librdkafka 2.16 would ask the leader before the present one again and again.
            self._client.list_topics(timeout=GRANTED_S)
            return self._is_done(self._client.delete_records(ends, request_timeout=REQUEST_S))

        wait_for(are_gone, f"the records of {topic} to be deleted", GRANTED_S)

    @staticmethod
    def _is_done(answers: dict) -> bool:
        """Return whether a request was granted; not while a leader is being replaced."""
        try:
            for answer in answers.values():
                answer.result(GRANTED_S)
        except KafkaException:
            return False
        return True

    def ends(self, topic: str) -> dict[int, int]:
        return self.admin.end_offsets(topic)

    def tend(self) -> None:
        for reader in self.readers.values():
            reader.tend()

    def wait_until_all_read(self, deadline_s: float) -> dict[str, float]:
        """Wait until records were written to each partition, and read by each reader.

        Members of a group have progressed once the group has. Return the seconds that each took;
        infinity where it took longer than the deadline.
        """
        begun = time.monotonic()
        took: dict[str, float] = {}
        goals: dict[str, tuple[list[int], float]] = {}
        before = {topic: list(writer.newest) for topic, writer in self.writers.items()}
        names = [*(f"writer to {topic}" for topic in self.writers), *self.readers]
        while len(took) < len(names) and time.monotonic() < begun + deadline_s:
            for topic, writer in self.writers.items():
                new = list(writer.newest)
                mine = slice(writer.partitions)
                if topic not in goals and all(map(operator.gt, new[mine], before[topic][mine])):
                    goals[topic] = new, time.monotonic()
                    took[f"writer to {topic}"] = time.monotonic() - begun
            for name, reader in self.readers.items():
                goal = goals.get(reader.place.topic)
                if name not in took and goal and reader.has_used(*goal):
                    took[name] = time.monotonic() - begun
            self.tend()
            time.sleep(0.05)
        return {name: took.get(name, float("inf")) for name in names}

    def wait_until_begun(self, deadline_s: float) -> None:
        """Wait until the first records have passed through everything."""
        took = self.wait_until_all_read(deadline_s)
        late = {each: self.last_error(each) for each in took if took[each] > deadline_s}
        assert not late, f"not all have begun: {late}"

    def last_error(self, name: str) -> str:
        """Return what a reader ended with last, "" where it has not ended or is a writer."""
        reader = self.readers.get(name)
        return "".join(reader.errors()[-1:]) if reader else ""

    def drain(self) -> None:
        """Stop the writers, and wait until each reader has used everything."""
        for writer in self.writers.values():
            writer.stop()
        for name, reader in self.readers.items():
            goal = list(self.writers[reader.place.topic].newest)
            if reader.place.group == EXACTLY_ONCE:
                continue
            wait_for(
                lambda reader=reader, goal=goal: reader.has_used(goal, 0.0),
                f"{name} to read its topic to its end, {goal}; it has {reader.place.newest[:]}",
                END_S,
            )
        wait_for(self._all_are_predicted, "predictions of everything", END_S)
        for reader in self.readers.values():
            reader.finish()

    def close(self) -> None:
        for reader in self.readers.values():
            reader.kill()
        for proxy in self.proxies:
            proxy.close()

    def _all_are_predicted(self) -> bool:
        try:
            rows = self.admin.describe_group(EXACTLY_ONCE)
            return {row.partition: row.committed for row in rows} == self.ends(KEPT)
        except TfkafkaError:
            return False


@contextmanager
def arena(cluster: EmbeddedCluster, folder: Path, behind_proxies: bool = True) -> Iterator[Arena]:
    """Whatever happens, nothing outlives this but the cluster."""
    ports: dict[int, int] = {}
    brokers = range(len(cluster) if behind_proxies else 0)
    proxies = [Proxy(cluster.address(number), ports) for number in brokers]
    made = Arena(cluster, proxies, folder)
    try:
        yield made
    finally:
        made.close()
