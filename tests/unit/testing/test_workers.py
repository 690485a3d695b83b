"""The broker that workers of pytest-xdist share, where it or somebody else misbehaves."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tfkafka.errors import BrokerError
from tfkafka.testing import workers
from tfkafka.testing.brokers import embedded, external
from tfkafka.testing.workers import SharedBrokers, ask

VERSION = "4.4.0"
SERVERS = "localhost:1"


def broker(stop: Callable[[], None] = lambda: None) -> SimpleNamespace:
    return SimpleNamespace(bootstrap_servers=SERVERS, stop=stop)


@contextmanager
def saying(what: bytes, shared: SharedBrokers) -> Iterator[None]:
    """A connection that says this and then nothing."""
    with socket.create_connection(shared.address[:2]) as connection:
        connection.sendall(what)
        yield


@pytest.fixture
def answers(monkeypatch) -> Callable[[object], None]:
    """answers(what): a broker's start returns or raises it."""

    def answers_with(what: object) -> None:
        def start(*_: object, **__: object) -> object:
            if isinstance(what, BaseException):
                raise what
            return what

        monkeypatch.setattr(embedded, "start", start)

    monkeypatch.setattr(external, "answers_metadata", lambda *_, **__: True)
    return answers_with


@pytest.fixture
def shared() -> Iterator[SharedBrokers]:
    shared = SharedBrokers()
    yield shared
    shared.stop()
    assert not shared._thread.is_alive()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "OSError: [Errno 28] No space left"),
        (ValueError("odd"), "ValueError: odd"),
        (BrokerError("port 1 is taken"), "port 1 is taken"),
    ],
)
def test_each_worker_hears_why_there_is_no_broker(shared, answers, error, reason):
    answers(error)
    for _ in range(2):
        with pytest.raises(BrokerError) as raised:
            ask(shared.address, VERSION)
        assert reason in str(raised.value)
        assert type(error) is BrokerError or f"Kafka {VERSION} did not start" in str(raised.value)


def test_each_worker_hears_that_there_is_no_room_for_a_folder(shared, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    for _ in range(2):
        with pytest.raises(BrokerError, match=r"did not start: FileNotFoundError: .*/no/such"):
            ask(shared.address, VERSION)


def test_a_broker_outlives_the_failed_start_of_another(answers):
    shared, stopped = SharedBrokers(), []
    answers(broker(lambda: stopped.append("first")))
    ask(shared.address, VERSION)
    answers(ValueError("odd"))
    with pytest.raises(BrokerError):
        ask(shared.address, "3.9.2")
    assert ask(shared.address, VERSION).bootstrap_servers == SERVERS
    assert stopped == []
    shared.stop()
    assert stopped == ["first"]


def test_all_brokers_are_stopped_where_one_cannot_be(answers, monkeypatch):
    stopped, raised = [], []
    monkeypatch.setattr(threading, "excepthook", lambda hook: raised.append(hook.exc_value))

    def fails() -> None:
        stopped.append("failing")
        raise BrokerError("it still runs")

    shared = SharedBrokers()
    for version in ("3.9.2", "4.4.0"):
        answers(broker(fails))
        ask(shared.address, version)
    shared.stop()
    assert stopped == ["failing"] * 2
    assert [str(error) for error in raised] == ["it still runs"]


@pytest.mark.parametrize("said", [b"", b"\0\0"])
def test_a_connection_that_says_too_little_keeps_nobody_waiting(answers, monkeypatch, said):
    monkeypatch.setattr(workers, "SILENCE_S", 1)
    answers(broker())
    shared = SharedBrokers()
    with ThreadPoolExecutor() as pool, saying(said, shared):
        found = pool.submit(ask, shared.address, VERSION).result(10)
        assert found.bootstrap_servers == SERVERS
        with saying(said, shared):
            pool.submit(shared.stop).result(10)


def test_who_does_not_know_the_key_gets_nothing(shared, answers):
    answers(broker())
    host, port, _ = shared.address
    with pytest.raises((OSError, EOFError, workers.AuthenticationError)):
        ask((host, port, "00" * 16), VERSION)
    assert ask(shared.address, VERSION).version == VERSION


def test_a_time_out_that_a_project_has_for_all_sockets_changes_nothing(shared, answers):
    answers(broker())
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(5)
    try:
        assert ask(shared.address, VERSION).version == VERSION
    finally:
        socket.setdefaulttimeout(before)
