"""What becomes of an embedded broker when the Python that started it ends, in whatever way."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.integration.broker_child import (
    ATTEMPTS,
    STARTED,
    errors_of_signalled_start,
    fresh_cache,
    java_of,
    spawn,
)
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded, jars, launch
from tfkafka.testing.brokers.base import answers_metadata

ZOOKEEPER_VERSION = "2.7.2"
KRAFT_VERSION = "3.9.2"

pytestmark = pytest.mark.usefixtures("no_java_left")


@pytest.mark.parametrize("version", [ZOOKEEPER_VERSION, KRAFT_VERSION])
def test_broker_dies_with_a_killed_parent(tmp_path: Path, version: str):
    with spawn(tmp_path, version, die_with_parent=True) as child:
        assert child.stdout.readline().strip() == STARTED
        assert java_of(tmp_path)
        child.kill()
    wait_for(lambda: not java_of(tmp_path), "the Java processes to end with their parent")


def test_broker_outlives_its_parent_where_that_is_wanted(tmp_path: Path):
    with spawn(tmp_path, ZOOKEEPER_VERSION, die_with_parent=False) as child:
        assert child.stdout.readline().strip() == STARTED
        child.stdin.close()
        assert child.wait(30) == 0
    broker = embedded.attach(tmp_path)
    try:
        assert answers_metadata(broker.bootstrap_servers, timeout_s=10)
    finally:
        broker.stop()
    assert java_of(tmp_path) == []


@pytest.mark.parametrize(
    ("version", "used_before", "moment"),
    [
        (ZOOKEEPER_VERSION, False, launch.ZOOKEEPER_MAIN),
        (ZOOKEEPER_VERSION, True, launch.ZOOKEEPER_SHELL),
        (ZOOKEEPER_VERSION, False, launch.KAFKA_MAIN),
        (KRAFT_VERSION, False, launch.STORAGE_MAIN),
        (KRAFT_VERSION, False, launch.KAFKA_MAIN),
    ],
)
def test_ctrl_c_in_the_middle_of_a_start(
    tmp_path: Path,
    version: str,
    used_before: bool,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
):
    for attempt in range(ATTEMPTS):
        folder, cache = tmp_path / f"broker-{attempt}", tmp_path / f"cache-{attempt}"
        if moment == launch.STORAGE_MAIN:  # which only the first start runs
            fresh_cache(cache, jars.read_lock(version))
            monkeypatch.setenv(jars.CACHE_VARIABLE, str(cache))
        if used_before:
            embedded.start(folder, version, progress=False).stop()
        # A broker that would outlive its parent: here only the cleaning up can end it.
        errors = errors_of_signalled_start(folder, version, moment, signal.SIGINT, False)
        if errors is not None:
            break
    assert errors is not None, "Ctrl-C ended no start"
    assert "KeyboardInterrupt" in errors
    assert java_of(folder) == []
    assert embedded.attach(folder) is None
