"""Fixtures of the benchmarks: topics filled with SUSY, the comparison itself, and its summary."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from reproduction.report import machine
from reproduction.report.benchmarks import Limit, Ratio
from tests import isolated, stacks
from tests.benchmarks import storing, summary
from tests.benchmarks.bounds import Floors, complaint
from tests.benchmarks.catalogue import NATIVE, PYTHON
from tests.benchmarks.sides import c_loop
from tests.benchmarks.sides import java as java_tools
from tests.benchmarks.sides.writing import fill
from tests.benchmarks.storing import Point
from tests.benchmarks.topics import Topic
from tests.benchmarks.turns import ROUNDS, Comparison, take_turns
from tests.benchmarks.worker import Side
from tests.tutorial import Messages
from tfkafka import native_status
from tfkafka.native.build import NoCompilerError

RECORDS = 60_000
LONG_RECORDS = 5_000_000
# pytest-timeout's limit for one test is made for tests that are not benchmarks.
TIMEOUT_S = 1800
_PACKAGES = ["tensorflow", "tensorflow-io", "confluent-kafka", "kafka-python", "numpy", "polars"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if item.get_closest_marker("bench") or item.get_closest_marker("scaling"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
        if "settle" in item.fixturenames:
            item.add_marker(pytest.mark.benchmark(timer=storing.measured_time))


@pytest.fixture(scope="session")
def messages(susy_split) -> Messages:
    """60,000 rows as messages."""
    return Messages(susy_split[0].frame[:RECORDS])


@pytest.fixture(scope="session")
def make_filled(kafka, admin, topic_prefix, messages) -> Iterator[Callable[..., Topic]]:
    """make_filled(records, partitions=1, value_bytes=None) -> a topic, made once a session."""
    made: dict[str, Topic] = {}

    def make(records: int, partitions: int = 1, value_bytes: int | None = None) -> Topic:
        width = "" if value_bytes is None else f"-{value_bytes}-bytes"
        name = f"{topic_prefix}bench-{records}-in-{partitions}{width}"
        if name not in made:
            made[name] = fill_topic(name, records, partitions, value_bytes)
        return made[name]

    def fill_topic(name: str, records: int, partitions: int, value_bytes: int | None) -> Topic:
        admin.create_topic(name, partitions)
        values, keys = messages.values, messages.keys
        if value_bytes is not None:
            values = [(value * (1 + value_bytes // len(value)))[:value_bytes] for value in values]
        size = isolated.run(
            fill, kafka.bootstrap_servers, name, values, keys, records, partitions, deadline_s=1000
        )
        return Topic(kafka.bootstrap_servers, name, records, size)

    yield make
    for name in set(made) & set(admin.topics()):
        admin.delete_topic(name)


@pytest.fixture(scope="session")
def train_topic(make_filled) -> Topic:
    """60,000 records in one partition."""
    return make_filled(RECORDS)


@pytest.fixture(scope="session")
def long_topic(make_filled) -> Topic:
    """5,000,000 records in one partition."""
    return make_filled(LONG_RECORDS)


@pytest.fixture(scope="session")
def java(stack, kafka) -> dict[str, str] | None:
    """How Kafka's own tools are started; None without an embedded Kafka from 3.0 on."""
    if stack.kafka != "embedded" or kafka.version.startswith("2."):
        return None
    return java_tools.find(kafka.version)


@pytest.fixture(scope="session")
def c_library(tmp_path_factory) -> Path | None:
    """C's bare loop, compiled; None, with a warning that says why, where nothing compiles it."""
    try:
        return c_loop.build(tmp_path_factory.mktemp("c-loop"))
    except NoCompilerError as error:
        warnings.warn(f"C's bare loop is left out: {error}", stacklevel=1)
        return None


@pytest.fixture
def settle(request, benchmark) -> Callable[[dict, Sequence[float], Sequence[Ratio | Limit]], None]:
    """settle(entry, walls, verdicts): store a result, then fail or skip.

    Fails where a bound is broken; skips, saying so, where the host was too busy to tell.
    """

    def store(entry: dict, walls: Sequence[float], verdicts: Sequence[Ratio | Limit]) -> None:
        storing.store(benchmark, walls)
        benchmark.extra_info.update(entry)
        title = entry["title"]
        request.node.user_properties += [
            (summary.PROPERTY, summary.to_json(title, verdict)) for verdict in verdicts
        ]
        complaints = [line for each in verdicts if (line := complaint(each))]
        if complaints:
            pytest.fail(f"{title}:\n" + "\n".join(complaints), pytrace=False)
        if not entry["is_undisturbed"]:
            pytest.skip(f"unknown: too many rounds lost more than a tenth to the host: {title}")

    return store


@pytest.fixture
def compare(settle) -> Callable[..., Comparison]:
    """compare(name, step, title, topic, sides, rounds): take turns, store, hold to the floors.

    `name` is the table of floors.toml. Each subject is held against each ceiling and alternative,
    and the native one against the other.
    """
    floors = Floors()

    def run(
        name: str, step: str, title: str, topic: Topic, sides: Sequence[Side], rounds: int = ROUNDS
    ) -> Comparison:
        found = take_turns(step, title, topic.records, topic.size, sides, rounds)
        subjects = found.of("subject")
        pairs = [(of, to) for of in subjects for to in found.of("ceiling", "alternative")]
        if NATIVE in subjects:
            pairs.append((NATIVE, PYTHON))
        ratios = [
            floors.ratio(name, of, to, found.ratios(of, to), found.is_undisturbed)
            for of, to in pairs
        ]
        entry = storing.entry(found, ratios=ratios)
        settle(entry, [each[subjects[0]].wall_s for each in found.rounds], ratios)
        return found

    return run


@pytest.fixture
def time_apart(settle) -> Callable[..., Comparison]:
    """time_apart(step, title, topic, sides, rounds, limits): seconds that are no throughput.

    Stored under `apart` by the step's and each side's name. `limits` makes verdicts of the
    comparison.
    """

    def run(
        step: str,
        title: str,
        topic: Topic,
        sides: Sequence[Side],
        rounds: int = ROUNDS,
        limits: Callable[[Comparison], list[Limit]] = lambda _found: [],
    ) -> Comparison:
        found = take_turns(step, title, topic.records, topic.size, sides, rounds)
        verdicts = limits(found)
        entry = storing.observed_entry(found, verdicts)
        settle(entry, [each[sides[0].label].wall_s for each in found.rounds], verdicts)
        return found

    return run


@pytest.fixture
def scale(settle) -> Callable[..., Comparison]:
    """scale(scaling, step, title, points, rounds, limits): the same work at several sizes.

    `limits` makes verdicts of the comparison, whose sides are the points' labels.
    """

    def run(
        scaling: str,
        step: str,
        title: str,
        points: Sequence[Point],
        rounds: int = 1,
        limits: Callable[[Comparison], list[Limit]] = lambda _found: [],
    ) -> Comparison:
        largest = max(points, key=lambda point: point.records)
        sides = [point.side for point in points]
        found = take_turns(step, title, largest.records, largest.size, sides, rounds)
        verdicts = limits(found)
        entry = storing.scaling_entry(scaling, points, found, verdicts)
        settle(entry, [each[largest.side.label].wall_s for each in found.rounds], verdicts)
        return found

    return run


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """make test passes where nothing can be said; make bench does not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and "not bench" not in session.config.option.markexpr:
        session.exitstatus = summary.exit_status(session.exitstatus, summary.verdicts(reporter))


def pytest_benchmark_update_machine_info(config, machine_info: dict) -> None:
    """Versions of what is measured; the commit is in pytest-benchmark's `commit_info`."""
    machine_info["memory_mb"] = round(psutil.virtual_memory().total / 2**20)
    machine_info["cores"] = os.cpu_count()
    machine_info["kafka"] = stacks.chosen(config)[0].name
    machine_info["native"] = str(native_status()).splitlines()[0]
    machine_info["versions"] = {name: machine.version_of(name) for name in _PACKAGES}
