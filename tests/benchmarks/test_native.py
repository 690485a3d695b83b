"""Reading 1,000,000 records natively and in Python, against what only fetches or only parses.

Native sides are left out where the native library was not compiled.
"""

import pytest

from tests import isolated, stacks
from tests.benchmarks.bounds import Floors
from tests.benchmarks.catalogue import (
    MEMORY,
    c_bare_loop,
    consumer_performance,
    fillers,
    native_or_not,
    parsers,
    quick_bare_loop,
    rows,
)
from tests.benchmarks.sides.writing import fill
from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side
from tests.tutorial import BATCH_SIZE
from tfkafka import Admin
from tfkafka.native import VARIABLE
from tfkafka.testing.brokers.embedded import EmbeddedBroker, Security

pytestmark = pytest.mark.bench

MANY = 1_000_000
FILLED_WITHIN_S = 300
NAME = "encrypted"
USER, PASSWORD, MECHANISM = "alice", "Pa55word-alice", "SCRAM-SHA-512"


@pytest.fixture
def many(long_topic) -> Topic:
    return long_topic.first(MANY)


def test_reading_columns(compare, many, c_library):
    sides = [
        *fillers("reading:tfkafka_columns", many.place),
        *c_bare_loop(many, c_library),
        quick_bare_loop(many),
    ]
    compare("columns", "read", "Read 1,000,000 records as columns, not decoded", many, sides)


def test_reading_and_decoding(compare, many, c_library, java, messages):
    sides = [
        *fillers("reading:tfkafka_decoded", many.place),
        quick_bare_loop(many),
        *c_bare_loop(many, c_library),
        *consumer_performance(many, java),
        *parsers(many, messages),
    ]
    compare("decode-many", "decode", "Read and decode 1,000,000 records", many, sides)


@pytest.mark.parametrize("batch_size", [BATCH_SIZE, 1024])
def test_reading_and_decoding_in_batches(compare, many, messages, batch_size):
    memory = {**rows(messages), "records": many.records, "batch_size": batch_size}
    sides = [
        *fillers("reading:tfkafka_decoded", {**many.place, "batch_size": batch_size}),
        Side(MEMORY, "ceiling", "reading:batches_from_memory", memory),
    ]
    title = f"Read and decode 1,000,000 records in batches of {batch_size:,}"
    compare(f"decode-many-{batch_size}", "decode", title, many, sides)


@pytest.mark.parametrize("batch_size", [None, BATCH_SIZE, 1024])
def test_cpu_by_thread_of_decoding(time_apart, many, batch_size):
    """Seconds for 1,000,000 records are microseconds for one."""
    arguments = {**many.place, "batch_size": batch_size}
    sides = fillers("reading:tfkafka_decoded", arguments, by_thread=True)
    shape = f"batches of {batch_size:,}" if batch_size else "chunks"

    def limits(found):
        return [
            Floors().limit(
                "cpu",
                f"{side.label}, in {shape}",
                "us of CPU a record",
                [1e6 * each[side.label].cpu_s / found.records for each in found.rounds],
                found.is_undisturbed,
            )
            for side in sides
        ]

    title = f"Read and decode 1,000,000 records in {shape}: CPU by thread"
    time_apart("time", title, many, sides, limits=limits)


def test_cpu_by_thread_of_parts(time_apart, many, c_library, messages):
    sides = [
        *fillers("reading:tfkafka_columns", many.place, by_thread=True),
        *c_bare_loop(many, c_library, by_thread=True),
        *parsers(many, messages, by_thread=True),
    ]
    title = "Read 1,000,000 records as columns, or parse them: CPU by thread"
    time_apart("time", title, many, sides)


@pytest.fixture
def secured(kafka_factory, messages, monkeypatch) -> EmbeddedBroker:
    """A broker whose Java compiles as well as it can: encrypting takes five times as long else.

    Of two flags the last one counts, and Java takes those of this variable after all others.
    """
    monkeypatch.setenv("_JAVA_OPTIONS", "-XX:TieredStopAtLevel=4")
    security = Security((MECHANISM,), "server", {USER: PASSWORD})
    return kafka_factory(stacks.DEFAULT.version, security=security, progress=False)


@pytest.fixture
def secured_topic(secured, messages) -> Topic:
    """1,000,000 records, which any user may read."""
    Admin(secured.bootstrap_servers).create_topic(NAME)
    where = secured.bootstrap_servers, NAME
    size = isolated.run(
        fill, *where, messages.values, messages.keys, MANY, 1, deadline_s=FILLED_WITHIN_S
    )
    return Topic(*where, MANY, size)


def test_encryption(compare, secured, secured_topic):
    """One broker, by both of its listeners."""
    plain = secured_topic.place
    encrypted = {
        **plain,
        "servers": secured.secured_servers,
        "configuration": dict(secured.client_configuration(USER, MECHANISM)),
    }
    value = native_or_not()[0]
    sides = [
        Side(label, kind, "reading:tfkafka_decoded", arguments, environment={VARIABLE: value})
        for label, kind, arguments in [
            ("SASL_SSL", "subject", encrypted),
            ("plaintext", "ceiling", plain),
        ]
    ]
    title = "Read and decode 1,000,000 records through SASL_SSL"
    compare("encryption", "decode", title, secured_topic, sides)
