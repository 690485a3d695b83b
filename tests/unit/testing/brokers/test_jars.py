"""Jars by lock file: nothing enters the cache but what has the locked checksum."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.jars import Jar, Lock
from tfkafka.testing.brokers.versions import known_versions

ROOT = Path(__file__).parents[4]
CONTENT = b"not really a jar"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG_SHA256 = "0" * 64


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on 127.0.0.1 with two jars, and an empty cache; gives its folder."""
    root = tmp_path / "repository"
    for name in ("good", "other"):
        folder = root / "org" / "example" / name / "1.0"
        folder.mkdir(parents=True)
        (folder / f"{name}-1.0.jar").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv(jars.REPOSITORY_VARIABLE, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path / "cache"))
    yield root
    server.shutdown()
    thread.join()
    server.server_close()


def lock_of(*entries: tuple[str, str]) -> Lock:
    """A lock with one jar for each (artifact, sha256)."""
    found = [Jar("org.example", name, "1.0", sha256, len(CONTENT)) for name, sha256 in entries]
    return Lock("0.0.1", "kraft", tuple(found))


def cached() -> list[str]:
    """Names of all files in the cache."""
    return sorted(path.name for path in jars.cache_folder().rglob("*") if path.is_file())


def test_right_jars_are_kept_and_not_asked_for_again(repository: Path):
    lock = lock_of(("good", SHA256), ("other", SHA256))
    folder = jars.fetch(lock, progress=False)
    assert sorted(path.name for path in folder.iterdir()) == ["good-1.0.jar", "other-1.0.jar"]
    assert (folder / "good-1.0.jar").read_bytes() == CONTENT
    for jar in repository.rglob("*.jar"):
        jar.unlink()
    assert jars.fetch(lock, progress=False) == folder


def test_wrong_checksum_stops_and_keeps_nothing(repository: Path):
    with pytest.raises(BrokerError) as raised:
        jars.fetch(lock_of(("good", WRONG_SHA256)), progress=False)
    assert f"org.example:good:1.0 has sha256 {SHA256}, but {WRONG_SHA256} is locked" in str(
        raised.value
    )
    assert cached() == []


def test_download_that_broke_off_is_made_good_by_the_next(repository: Path):
    jar = repository / "org" / "example" / "good" / "1.0" / "good-1.0.jar"
    jar.write_bytes(CONTENT[:5])
    with pytest.raises(BrokerError, match="has sha256"):
        jars.fetch(lock_of(("good", SHA256)), progress=False)
    jar.write_bytes(CONTENT)
    folder = jars.fetch(lock_of(("good", SHA256)), progress=False)
    assert (folder / "good-1.0.jar").read_bytes() == CONTENT


@pytest.mark.parametrize("found", [CONTENT[:5], CONTENT[::-1]])
def test_what_is_not_the_jar_is_replaced_in_the_cache(repository: Path, found: bytes):
    folder = jars.cache_folder() / "kafka" / "0.0.1"
    folder.mkdir(parents=True)
    (folder / "good-1.0.jar").write_bytes(found)
    jars.fetch(lock_of(("good", SHA256)), progress=False)
    assert (folder / "good-1.0.jar").read_bytes() == CONTENT


def test_jar_that_the_repository_lacks_is_named(repository: Path):
    with pytest.raises(BrokerError, match=r"cannot download org\.example:absent:1\.0: "):
        jars.fetch(lock_of(("absent", SHA256)), progress=False)
    assert cached() == []


def test_no_repository_reachable(repository: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv(jars.REPOSITORY_VARIABLE, address)
        with pytest.raises(BrokerError) as raised:
            jars.fetch(lock_of(("good", SHA256)), progress=False)
    text = str(raised.value)
    assert text.startswith("cannot download org.example:good:1.0: ")
    assert "the first use needs the network" in text
    assert jars.REPOSITORY_VARIABLE in text
    assert len(text.splitlines()) == 1
    assert cached() == []


def test_cache_that_cannot_be_written_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch):
    in_the_way = repository / "file"
    in_the_way.write_text("")
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(in_the_way))
    with pytest.raises(BrokerError, match=f"{in_the_way}.*set {jars.CACHE_VARIABLE} to a folder"):
        jars.fetch(lock_of(("good", SHA256)), progress=False)


def test_version_without_a_lock_names_those_that_have_one():
    with pytest.raises(BrokerError, match=r"no lock file for Kafka 1\.0; there are .*2\.7\.2, 3\."):
        jars.read_lock("1.0")


def test_only_the_tutorials_version_needs_zookeeper():
    assert ["2.7.2", *jars.kraft_versions()] == known_versions()


def test_documents_name_each_version():
    documents = ["docs/testing.md", "docs/reproducing-the-tutorial.md", "docs/dependencies.md"]
    for document in documents:
        text = (ROOT / document).read_text()
        assert [version for version in known_versions() if version not in text] == [], document


@pytest.mark.parametrize("version", known_versions())
def test_every_lock_names_kafka_itself_and_each_jar_once(version: str):
    lock = jars.read_lock(version)
    assert lock.version == version
    assert [jar.version for jar in lock.jars if jar.artifact == "kafka_2.13"] == [version]
    assert len({jar.file_name for jar in lock.jars}) == len(lock.jars)
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in lock.jars)


def test_cache_where_java_finds_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path / "a:b"))
    with pytest.raises(BrokerError, match=r"a:b/kafka/0.0.1: ':' separates .* set TFKAFKA_CACHE"):
        jars.fetch(lock_of(("good", SHA256)))
    assert not any(tmp_path.iterdir())
