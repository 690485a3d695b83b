"""The pages of a program, and that nothing of them is left."""

from __future__ import annotations

import gc
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scraping import get, health, scrape
from tfkafka.chunk import TopicPartition
from tfkafka.decoding.base import Fault
from tfkafka.errors import MetricsError
from tfkafka.metrics import endpoint
from tfkafka.metrics.meter import RunningMeter
from tfkafka.metrics.metrics import Metrics
from tfkafka.testing import wait_for

ROOT = Path(__file__).parents[3]


class Reader:
    """A source that says what a test wants."""

    def __init__(self) -> None:
        self.says: str | None = None

    def lag(self):
        return {TopicPartition("a topic", 3): 41}

    def trouble(self):
        return self.says


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics(0)
    metrics.open()
    yield metrics
    metrics.close()


@pytest.fixture
def meter(metrics) -> RunningMeter:
    return metrics.meter


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "tfkafka-metrics"]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_numbers_of_a_meter(metrics, meter):
    meter.counts.add(10, [Fault(1, "is empty"), Fault(2, 'is "x"')], "skip")
    meter.counts.add(5, [Fault(0, "is empty")], "skip")
    for event, times in (("batches", 2), ("commits", 3), ("restarts", 4), ("rebalances", 5)):
        for _ in range(times):
            meter.count(event)
    with meter.stage("decode"):
        pass
    meter.observe(Reader())
    page = scrape(metrics.port)
    assert page.pop("stage_seconds_total{decode}") >= 0
    assert page == {
        "records_total": 15,
        "bad_records_total{is empty}": 2,
        'bad_records_total{is "x"}': 1,
        "batches_total": 2,
        "commits_total": 3,
        "restarts_total": 4,
        "rebalances_total": 5,
        "model_exchanges_total": 0,
        "lag{a topic,3}": 41,
    }


def test_health(metrics, meter):
    source = Reader()
    assert health(metrics.port) == (503, "nothing has been read yet")
    meter.progressed()
    assert health(metrics.port)[0] == 200
    meter.observe(source)
    source.says = "no answer from Kafka"
    assert health(metrics.port) == (503, "no answer from Kafka")
    source.says = None
    assert health(metrics.port)[0] == 200
    meter.failed("a transaction was aborted")
    assert health(metrics.port) == (503, "a transaction was aborted")
    meter.progressed()
    status, text = health(metrics.port)
    assert status == 200 and re.fullmatch(r"progress \d+\.\d s ago", text)
    status, text = health(metrics.port, "?within=0")
    assert status == 503 and re.fullmatch(r"no progress for \d+ s", text)


def test_a_source_that_ended_is_not_asked_and_the_next_one_stays(metrics, meter):
    first, second = Reader(), Reader()
    first.says, second.says = "the first one is away", "the second one is away"
    meter.progressed()
    meter.observe(first)
    meter.observe(second)
    meter.forget(first)
    assert health(metrics.port) == (503, "the second one is away")
    meter.forget(second)
    assert health(metrics.port)[0] == 200
    assert "lag{a topic,3}" not in scrape(metrics.port)


@pytest.mark.parametrize("asked", ["x", "-1", "nan", "1e400"])
def test_a_limit_that_is_no_time_is_refused(metrics, meter, asked):
    meter.progressed()
    expected = (400, f"within is '{asked}', must be seconds")
    assert health(metrics.port, f"?within={asked}") == expected


def test_other_pages_are_not_there(metrics):
    assert get(metrics.port, "/") == (404, "there are /metrics and /healthz\n")


def test_two_meters_of_a_process_do_not_meet(metrics, meter):
    other = Metrics(0)
    other.open()
    meter.count("commits")
    assert scrape(metrics.port)["commits_total"] == 1
    assert scrape(other.port)["commits_total"] == 0
    other.close()


def test_a_port_in_use_is_one_line(metrics):
    other = Metrics(metrics.port)
    with pytest.raises(MetricsError) as refusal:
        other.open()
    assert str(refusal.value) == (
        f"metrics_port: nobody can listen on 127.0.0.1, port {metrics.port} "
        f"(Address already in use): give another one, or 0 for a free port"
    )


@pytest.mark.parametrize("place", ["nowhere.invalid:0", "192.0.2.1:0"])
def test_a_host_that_is_not_here_is_one_line(place):
    with pytest.raises(MetricsError, match=rf"nobody can listen on {place[:-2]}, port 0 \(.+\): "):
        Metrics(place).open()


@pytest.mark.parametrize(
    ("place", "host"), [("0.0.0.0:0", "127.0.0.1"), ("localhost:0", "localhost")]
)
def test_another_host_is_listened_on(place, host):
    metrics = Metrics(place)
    metrics.open()
    assert get(metrics.port, "/healthz", host)[0] == 503
    metrics.close()


def test_nothing_is_left_after_close(metrics):
    before = os.listdir("/proc/self/fd")
    other = Metrics(0)
    other.open()
    assert len(threads()) == 2
    scrape(other.port)
    other.close()
    other.close()
    assert len(threads()) == 1
    assert is_free(other.port)
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= len(before), "the sockets to be closed")


def test_nothing_is_left_of_what_is_deleted():
    metrics = Metrics(0)
    metrics.open()
    port = metrics.port
    assert threads()
    del metrics
    gc.collect()
    assert is_free(port)
    wait_for(lambda: not threads(), "the server's thread to end")


def test_the_server_itself_may_collect_what_is_deleted(monkeypatch):
    """Its thread allocates too: a finalizer that waited for it would stop the collector forever."""
    monkeypatch.setattr(endpoint._Server, "verify_request", lambda *_: gc.collect() >= 0)
    gc.disable()
    try:
        metrics = Metrics(0)
        metrics.open()
        metrics.itself = metrics
        port = metrics.port
        del metrics
        assert get(port, "/healthz")[0] == 503
        wait_for(lambda: not threads(), "the server's thread to end")
        assert is_free(port)
    finally:
        gc.enable()


def test_it_opens_again_at_the_same_port(metrics):
    port = metrics.port
    metrics.close()
    metrics.open()
    assert metrics.port == port
    assert health(port)[0] == 503


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_does_not_keep_the_port(metrics):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        metrics.close()
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        metrics.close()
        # The child closes its copy as soon as it runs.
        wait_for(lambda: is_free(metrics.port), "the port to be free", 60)
        metrics.open()
    finally:
        os.close(writing)
        assert os.waitpid(child, 0)[1] == 0


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_port_nothing_is_imported():
    heavy = "{'prometheus_client', 'http.server', 'socketserver', 'tfkafka.metrics.endpoint'}"
    code = (
        "import sys, tfkafka.metrics.metrics as m, tfkafka.exactly_once.worker; before = "
        f"set(sys.modules); m.Metrics(None).open(); print({heavy} & (set(sys.modules) - before))"
    )
    assert run(code) == "set()\n"
    assert run(f"import sys, tfkafka.metrics.metrics; print({heavy} & set(sys.modules))") == (
        "set()\n"
    )


def test_without_prometheus_client_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from tfkafka.errors import MetricsError\n"
        "from tfkafka.metrics.metrics import Metrics\n"
        "try: Metrics(0)\n"
        "except MetricsError as error: print(error)"
    )
    assert run(code) == (
        "metrics_port needs prometheus-client, which is not installed: "
        "pip install 'tfkafka[metrics]'\n"
    )


def test_a_process_that_closes_nothing_ends():
    code = "from tfkafka.metrics.metrics import Metrics; m = Metrics(0); m.open(); print('end')"
    assert run(code) == "end\n"


@pytest.mark.parametrize(
    "wrong", ["", "9400", "host:", ":9400", "a b:1", "h:70000", "::1:9400", -1, 65536]
)
def test_a_wrong_place_is_refused(wrong):
    with pytest.raises(ValueError, match=r"^metrics_port is .*, must be a port of 127\.0\.0\.1"):
        Metrics(wrong)


@pytest.mark.parametrize("wrong", [True, 1.5, b"h:1", [9400], ("127.0.0.1", 9400)])
def test_a_place_of_a_wrong_type_is_refused(wrong):
    with pytest.raises(TypeError, match=r"^metrics_port is .*, must be a port of 127\.0\.0\.1"):
        Metrics(wrong)
