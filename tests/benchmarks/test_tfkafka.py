"""tfkafka against what it replaces and against its ceilings, as ratios within one run.

`share_of_ceiling` is the median of (seconds of the other side / seconds of tfkafka). The floors
are far below what is seen, so that a slow or busy machine fails nothing.
"""

import pytest

from tests import isolated
from tests.benchmarks import readers
from tests.tutorial import Messages

pytestmark = pytest.mark.bench

RECORDS = 20_000
MANY = 50


@pytest.fixture(scope="module")
def messages(susy_split) -> Messages:
    return Messages(susy_split[0].frame[:RECORDS])


@pytest.fixture(scope="module")
def filled(kafka, admin, messages, topic_prefix) -> str:
    name = f"{topic_prefix}bench-few"
    admin.create_topic(name)
    readers.fill(kafka.bootstrap_servers, name, messages, 1)
    yield name
    admin.delete_topic(name)


@pytest.fixture(scope="module")
def long_topic(kafka, admin, messages, topic_prefix) -> str:
    name = f"{topic_prefix}bench-many"
    admin.create_topic(name)
    readers.fill(kafka.bootstrap_servers, name, messages, MANY)
    yield name
    admin.delete_topic(name)


def measure(benchmark, floor: float, function, *args) -> None:
    comparison = benchmark.pedantic(isolated.run, (function, *args), rounds=1)
    benchmark.extra_info.update(comparison.figures())
    assert comparison.share_of_ceiling >= floor, comparison.figures()


def test_read_and_decode_against_a_bare_loop(benchmark, kafka, long_topic):
    servers = kafka.bootstrap_servers
    measure(benchmark, 0.2, readers.compare_with_bare_loop, servers, long_topic, RECORDS * MANY)


def test_read_and_decode_against_java(benchmark, kafka, request, long_topic):
    if request.config.getoption("--kafka") != "embedded" or kafka.version.startswith("2."):
        pytest.skip("Java's tool comes with an embedded Kafka from 3.0 on")
    java = readers.java_classpath(kafka.version)
    where = (kafka.bootstrap_servers, long_topic, RECORDS * MANY)
    measure(benchmark, 0.05, readers.compare_with_java, *where, *java)


@pytest.mark.parametrize("steps_per_execution", [1, 32])
def test_training_epoch_against_memory(benchmark, kafka, filled, messages, steps_per_execution):
    where = (kafka.bootstrap_servers, filled, messages, steps_per_execution)
    measure(benchmark, 0.3, readers.compare_quick_epochs, *where)


def test_evaluation_by_group_against_memory(benchmark, kafka, filled, messages, group):
    where = (kafka.bootstrap_servers, filled, group, messages)
    measure(benchmark, 0.3, readers.compare_evaluations, *where)


def test_the_tutorials_epoch_against_tensorflow_io(benchmark, kafka, filled, messages):
    pytest.importorskip("tensorflow_io")
    where = (kafka.bootstrap_servers, filled, messages)
    measure(benchmark, 1.5, readers.compare_tutorial_epochs, *where)


def test_writing_against_kafka_python(benchmark, kafka, topic, messages):
    measure(benchmark, 3.0, readers.compare_writing, kafka.bootstrap_servers, topic, messages)


def test_first_element(benchmark, kafka, filled, group):
    where = (readers.seconds_to_first, kafka.bootstrap_servers, filled, group)
    bounded, grouped = benchmark.pedantic(isolated.run, where, rounds=1)
    figures = {"bounded_s": sorted(bounded)[2], "group_s": sorted(grouped)[2]}
    benchmark.extra_info.update(figures)
    assert figures["bounded_s"] < 2 and figures["group_s"] < 10, figures


def test_memory_and_cpu_do_not_grow_with_the_topic(benchmark, kafka, filled, long_topic):
    few, many = (filled, RECORDS), (long_topic, RECORDS * MANY)
    where = (readers.growth, kafka.bootstrap_servers, few, many)
    figures = benchmark.pedantic(isolated.run, where, rounds=1)
    benchmark.extra_info.update(figures)
    assert figures["many_mb"] - figures["few_mb"] < 300, figures
    assert figures["many_cpu_us"] < 3 * figures["few_cpu_us"], figures
