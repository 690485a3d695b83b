"""What a monitor sees of workers and readers, against what is on the broker."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import isolated
from tests.integration.tfkafka.records import settle, settled_predictions, values
from tests.integration.tfkafka.rivals import QUICK
from tests.scraping import get, health, scrape, total
from tfkafka import Admin, CsvDecoder, KafkaDataset, KafkaGroupDataset, KafkaMiniBatchDataset, write
from tfkafka.errors import MetricsError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.processes import free_ports

DEADLINE_S = 60.0
RECORDS = 4_000
FOREVER = -1
EARLIEST = {"auto.offset.reset": "earliest", **QUICK}


def value(number: int) -> str:
    """Return the value of a record: some have a column too many, and some are no numbers."""
    if number % 250 == 7:
        return "x"
    return f"{number},1" if number % 100 == 3 else f"{number}"


def fill(servers: str, topic: str, first: int = 0, count: int = RECORDS) -> None:
    for partition in range(2):
        numbers = range(first + partition, first + count, 2)
        write(servers, topic, map(value, numbers), partition=partition)


def on_the_broker(servers: str, topic: str) -> list[bytes]:
    """All values of a topic, read without a group, once no transaction is open."""
    settle(servers, topic)
    return values(KafkaDataset(topic, servers=servers))


def is_bad(text: bytes) -> bool:
    return text == b"x" or b"," in text


def first_column(rows: np.ndarray) -> np.ndarray:
    return rows[:, 0]


class Worker:
    """An exactly-once worker in a thread, whose metrics are served on a free port."""

    def __init__(self, servers: str, job: InferenceJob, **options):
        self.worker = ExactlyOnceInference(
            job,
            servers,
            transaction_records=100,
            transaction_wait=50,
            stream_timeout=FOREVER,
            configuration=QUICK,
            metrics_port=0,
            **options,
        )
        self.port = self.worker.metrics_port
        self._pool = ThreadPoolExecutor(1)
        self.run = self._pool.submit(self.worker.run)

    def page(self) -> dict[str, float]:
        assert not self.run.done(), self.run.exception()
        return scrape(self.port)

    def stop(self) -> None:
        self.worker.stop()
        self._pool.shutdown()


@pytest.fixture
def work() -> Iterator[Callable[..., Worker]]:
    """work(servers, job) -> a worker that was started."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options) -> Worker:
            worker = Worker(*arguments, **options)
            stack.callback(worker.stop)
            return worker

        yield start


def bad_records(page: dict[str, float]) -> dict[str, float]:
    """Numbers of bad records by reason."""
    name = "bad_records_total{"
    return {key[len(name) : -1]: n for key, n in page.items() if key.startswith(name)}


def lags(page: dict[str, float]) -> list[float]:
    return [n for name, n in page.items() if name.startswith("lag{")]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_sums_of_workers_are_what_is_on_the_broker_after_a_rebalance(
    servers, make_topic, group, work
):
    """The second worker joins in the middle, and takes over a partition."""
    source, target, letters = make_topic(2), make_topic(2), make_topic()

    def job(name: str) -> InferenceJob:
        return InferenceJob(
            first_column,
            CsvDecoder(1),
            source,
            target,
            group,
            name,
            on_bad_record="dead_letter",
            dead_letter_topic=letters,
        )

    fill(servers, source)
    first = work(servers, job("first"))
    wait_for(lambda: first.page()["records_total"], "the first records", DEADLINE_S)
    second = work(servers, job("second"))
    wait_for(lambda: len(lags(second.page())) == 1, "the second to have one", DEADLINE_S)
    fill(servers, source, first=RECORDS)
    expected = on_the_broker(servers, source)
    assert len(expected) == 2 * RECORDS

    def last_pages() -> list[dict[str, float]] | None:
        pages = [first.page(), second.page()]
        is_done = total(*pages)["records_total"] >= len(expected)
        # Without a lag where Kafka does not say it in time.
        return pages if is_done and lags(pages[0]) == lags(pages[1]) == [0] else None

    found = wait_for(last_pages, "all records to be predicted", DEADLINE_S)
    both = total(*found)
    bad = Counter(filter(is_bad, expected))
    assert both["records_total"] == len(expected)
    assert sum(bad_records(both).values()) == bad.total() == len(on_the_broker(servers, letters))
    assert sorted(bad_records(both).values()) == sorted([bad[b"x"], bad.total() - bad[b"x"]]), (
        bad_records(both)
    )
    predicted = sum(len(offsets) for offsets, _ in settled_predictions(servers, target).values())
    assert predicted == len(expected) - bad.total()
    assert found[0]["rebalances_total"] >= 2
    assert found[1]["rebalances_total"] >= 1
    assert found[1]["records_total"] > 0
    assert both["batches_total"] >= both["commits_total"] > 0
    for stage in ("wait", "decode", "model", "encode", "commit"):
        assert both[f"stage_seconds_total{{{stage}}}"] > 0, stage
    assert health(first.port)[0] == 200
    for worker in (first, second):
        worker.stop()
        assert is_free(worker.port)
    assert not [each.name for each in threading.enumerate() if "metrics" in each.name]


def test_lag_is_what_is_not_committed_yet(servers, make_topic, group, work):
    """While the model works on the first batch, nothing is committed."""
    source, released = make_topic(2), threading.Event()

    def wait(rows: np.ndarray) -> np.ndarray:
        assert released.wait(DEADLINE_S)
        return rows[:, 0]

    write(servers, source, ["1"] * 60, partition=0)
    write(servers, source, ["1"] * 40, partition=1)
    worker = work(servers, InferenceJob(wait, CsvDecoder(1), source, make_topic(2), group))
    lag = wait_for(lambda: lags(worker.page()), "the worker's partitions", DEADLINE_S)
    assert sorted(lag) == [40, 60]
    released.set()
    wait_for(lambda: lags(worker.page()) == [0, 0], "all to be committed", DEADLINE_S)


def group_dataset(servers: str, topic: str, group: str, **options) -> KafkaGroupDataset:
    chosen = {"decode": CsvDecoder(1), "metadata": True, "on_bad_record": "skip"} | options
    return KafkaGroupDataset(topic, group, servers, FOREVER, EARLIEST, metrics_port=0, **chosen)


class Reading:
    """A dataset that is iterated in a thread.

    Attributes:
        got: (partition, offset) of each element.
    """

    def __init__(self, dataset: KafkaGroupDataset):
        self.dataset = dataset
        self.got: list[tuple[int, int]] = []
        self._pool = ThreadPoolExecutor(1)
        self.run = self._pool.submit(self._read)

    def page(self) -> dict[str, float]:
        assert not self.run.done(), self.run.exception()
        return scrape(self.dataset.metrics_port)

    def end(self) -> None:
        self.dataset.stop()
        self._pool.shutdown()
        self.dataset.close()

    def _read(self) -> None:
        for *_, where in self.dataset.as_numpy_iterator():
            self.got.append((int(where.partition), int(where.offset)))


@pytest.fixture
def reading() -> Iterator[Callable[..., Reading]]:
    with contextlib.ExitStack() as stack:

        def start(dataset: KafkaGroupDataset) -> Reading:
            found = Reading(dataset)
            stack.callback(found.end)
            return found

        yield start


def test_the_sums_of_members_are_what_they_delivered(servers, make_topic, group, reading):
    topic = make_topic(2)
    fill(servers, topic)
    first = reading(group_dataset(servers, topic, group))
    wait_for(lambda: len(lags(first.page())) == 2, "both partitions", DEADLINE_S)
    wait_for(lambda: lags(first.page()) == [0, 0], "all to be committed", DEADLINE_S)
    second = reading(group_dataset(servers, topic, group))
    wait_for(lambda: len(lags(second.page())) == 1, "one partition", DEADLINE_S)
    fill(servers, topic, first=RECORDS)
    expected = on_the_broker(servers, topic)

    def are_done() -> bool:
        return len({*first.got, *second.got}) == len(expected) - sum(map(is_bad, expected)) and (
            lags(first.page()) == lags(second.page()) == [0]
        )

    wait_for(are_done, "all records to be used", DEADLINE_S)
    pages = [first.page(), second.page()]
    for member, page in zip((first, second), pages, strict=True):
        bad = sum(bad_records(page).values())
        assert page["records_total"] == len(member.got) + bad
        assert page["batches_total"] > 0 and page["commits_total"] > 0
        assert health(member.dataset.metrics_port)[0] == 200
        for stage in ("wait", "decode", "model"):
            assert page[f"stage_seconds_total{{{stage}}}"] > 0, stage
    both = total(*pages)
    # Nothing was in use when the partition moved, so nothing came twice.
    assert both["records_total"] == len(expected) == 2 * RECORDS
    assert sum(bad_records(both).values()) == sum(map(is_bad, expected))
    assert pages[0]["rebalances_total"] >= 2
    for member in (first, second):
        member.end()
        assert is_free(member.dataset.metrics_port)


def test_numbers_go_on_over_iterations(servers, topic, group):
    dataset = KafkaMiniBatchDataset(
        topic, group, servers, 0, EARLIEST, records=30, decode=CsvDecoder(1), metrics_port=0
    )
    with dataset:
        write(servers, topic, ["1"] * 60)
        assert [len(mini) for mini in dataset] == [30, 30]
        write(servers, topic, ["1"] * 30)
        assert [len(mini) for mini in dataset] == [30]
        page = scrape(dataset.metrics_port)
    assert dataset.counts.read == 30
    assert page["records_total"] == 90
    assert page["batches_total"] == 3
    assert page["commits_total"] >= 3
    assert page["rebalances_total"] == 2
    assert is_free(dataset.metrics_port)


@pytest.mark.parametrize("kind", ["worker", "dataset"])
def test_health_while_the_broker_does_not_answer(own_kafka, kind, work, reading):
    servers = own_kafka.bootstrap_servers
    admin = Admin(servers)
    for topic in ("source", "target"):
        admin.create_topic(topic, 2)
    if kind == "worker":
        job = InferenceJob(first_column, CsvDecoder(1), "source", "target", "group")
        port = work(servers, job).port
    else:
        dataset = group_dataset(servers, "source", "group")
        assert health(dataset.metrics_port) == (503, "nothing has been read yet")
        port = reading(dataset).dataset.metrics_port

    def wait_for_health(status: int) -> str:
        wait_for(lambda: health(port)[0] == status, f"health {status}", DEADLINE_S)
        return health(port)[1]

    # There is nothing to do yet.
    assert "progress" in wait_for_health(200)
    write(servers, "source", ["1"] * 100)
    wait_for(lambda: scrape(port)["records_total"] == 100, "the first records", DEADLINE_S)
    # A member that is expelled while the broker is away would get them again.
    wait_for(lambda: lags(scrape(port)) == [0, 0], "their commit", DEADLINE_S)
    own_kafka.pause()
    try:
        assert f"no answer from Kafka at {servers} for" in wait_for_health(503)
        assert lags(scrape(port)) == []
    finally:
        own_kafka.resume()
    write(servers, "source", ["1"] * 100)
    wait_for_health(200)
    wait_for(lambda: scrape(port)["records_total"] == 200, "the other records", DEADLINE_S)


def test_a_port_in_use_is_one_line(servers, make_topic, group, tmp_path):
    source, target = make_topic(), make_topic()
    job = InferenceJob(first_column, CsvDecoder(1), source, target, group)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for make in (
            lambda: ExactlyOnceInference(job, servers, metrics_port=port),
            lambda: KafkaGroupDataset(source, group, servers, metrics_port=f"127.0.0.1:{port}"),
            lambda: KafkaMiniBatchDataset(source, group, servers, metrics_port=port),
        ):
            with pytest.raises(MetricsError, match=r"127\.0\.0\.1, port \d+ \(Address already"):
                make()
        isolated.run(learn_on_a_port_in_use, servers, source, tmp_path, port)


def learner(servers: str, topic: str):
    import keras

    from tfkafka.online import Stream

    def build():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    decode = CsvDecoder(2, "key")
    stream = Stream(topic, decode, servers, mini_dataset=10, stream_timeout=0, on_bad_record="skip")
    return stream, build


def learn_on_a_port_in_use(servers: str, topic: str, folder: Path, port: int) -> None:
    from tfkafka.online import learn

    stream, build = learner(servers, topic)
    with pytest.raises(MetricsError, match="Address already in use"):
        learn(folder, stream, build, print, seed=1, metrics_port=port)


def test_the_numbers_of_a_learner(servers, topic, tmp_path):
    write(servers, topic, ["1,1"] * 24 + ["x"], ["1"] * 25)
    first, second = isolated.run(learn_twice, servers, topic, tmp_path)
    assert [page["batches_total"] for page in first] == [1, 2, 3]
    assert [page["commits_total"] for page in first] == [0, 1, 2]
    # While a mini dataset is trained on, it is not learnt yet.
    assert [lags(page) for page in first] == [[25], [15], [5]]
    assert [page["records_total"] for page in first] == [10, 20, 25]
    assert list(bad_records(first[-1]).values()) == [1]
    assert first[-1]["restarts_total"] == 0
    for stage in ("wait", "read", "decode", "model", "save"):
        assert first[-1][f"stage_seconds_total{{{stage}}}"] > 0, stage
    [page] = second
    assert page["restarts_total"] == page["batches_total"] == 1
    assert page["records_total"] == 10


def page_with_lag(port: int) -> dict[str, float] | None:
    """A page has no lag where Kafka does not say it in time."""
    page = scrape(port)
    return page if lags(page) else None


def learn_twice(servers: str, topic: str, folder: Path) -> list[list[dict[str, float]]]:
    from tfkafka.online import learn

    stream, build = learner(servers, topic)
    lines: list[str] = []
    found = []

    def train(model, features, labels) -> None:
        port = int(lines[0].split()[2].rstrip(","))
        assert health(port)[0] == 200
        found[-1].append(wait_for(lambda: page_with_lag(port), "a lag", DEADLINE_S))

    for _ in range(2):
        found.append([])
        lines.clear()
        learn(folder, stream, build, train, seed=1, notify=lines.append, metrics_port=0)
        with pytest.raises(OSError, match="refused"):
            get(int(lines[0].split()[2].rstrip(",")), "/metrics")
        write(servers, topic, ["1,1"] * 10, ["1"] * 10)

    def fail(model, features, labels) -> None:
        raise RuntimeError

    lines.clear()
    with pytest.raises(RuntimeError) as failure:
        learn(folder, stream, build, fail, seed=1, notify=lines.append, metrics_port=0)
    # The error, which is still here, has not kept the port open.
    assert failure.traceback and is_free(int(lines[0].split()[2].rstrip(",")))
    return found


class Over(Exception):
    """The learner has come to the record at which it ends."""


def test_health_of_a_learner(own_kafka, tmp_path):
    """While Kafka does not answer, and while `train` takes longer than is asked for."""
    servers = own_kafka.bootstrap_servers
    Admin(servers).create_topic("topic")
    [port] = free_ports(1)

    def wait_for_health(status: int, query: str = "") -> str:
        def found() -> str | None:
            assert not learning.done(), learning.exception()
            if is_free(port):
                return None
            answered, text = health(port, query)
            return text if answered == status else None

        return wait_for(found, f"health {status}", DEADLINE_S)

    with ThreadPoolExecutor(1) as pool:
        arguments = (learn_until_told, servers, tmp_path, port)
        learning = pool.submit(isolated.run, *arguments, deadline_s=2 * DEADLINE_S)
        write(servers, "topic", ["1,1"] * 10, ["1"] * 10)
        wait_for_health(200)
        own_kafka.pause()
        try:
            assert f"no answer from Kafka at {servers} for" in wait_for_health(503)
        finally:
            own_kafka.resume()
        wait_for_health(200)
        write(servers, "topic", ["2,2"] * 10, ["1"] * 10)
        assert "no progress for" in wait_for_health(503, "?within=3")
        (tmp_path / "go").touch()
        wait_for_health(200, "?within=3")
        write(servers, "topic", ["3,3"] * 10, ["1"] * 10)
        learning.result()


def learn_until_told(servers: str, folder: Path, port: int) -> None:
    from tfkafka.online import learn

    stream, build = learner(servers, "topic")

    def train(model, features, labels) -> None:
        if features[0, 0] == 2:
            wait_for((folder / "go").exists, "the test to let it go", DEADLINE_S)
        if features[0, 0] == 3:
            raise Over

    forever = replace(stream, stream_timeout=FOREVER)
    with pytest.raises(Over):
        learn(folder, forever, build, train, seed=1, metrics_port=port)
