"""A schema registry for tests: its program, without starting it."""

from __future__ import annotations

import errno
import io
import tarfile
import urllib.request

import pytest

from tests.unit.decoding.registries import registry as schemas
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import jars, registry
from tfkafka.testing.brokers.versions import known_versions


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """Has an archive in place of a download, and counts the downloads."""
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path))
    found = []

    def fetch(lock, progress):
        folder = jars.folder_of(lock)
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / lock.jars[0].file_name, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("quarkus-run.jar"), io.BytesIO())
        found.append(lock)
        return folder

    monkeypatch.setattr(jars, "fetch", fetch)
    return found


def test_its_lock_is_no_version_of_kafka():
    lock = jars.read_program_lock(registry.LOCK)
    assert lock.jars[0].file_name == f"apicurio-registry-app-{lock.version}-all.tar.gz"
    assert registry.LOCK not in known_versions()
    with pytest.raises(BrokerError, match="no lock file"):
        jars.read_lock(registry.LOCK)


def test_it_is_downloaded_and_unpacked_once(downloads):
    folder = registry._unpacked(progress=False)
    assert registry._unpacked(progress=False) == folder
    assert (folder / "quarkus-run.jar").exists() and len(downloads) == 1
    assert [each.name for each in folder.parent.iterdir()] == ["unpacked"]


def test_another_process_unpacks_it_meanwhile(downloads, monkeypatch):
    """It renames its folder and removes the archive after this one has downloaded it."""
    fetch = jars.fetch

    def fetch_and_wait(lock, progress):
        folder = fetch(lock, progress)
        monkeypatch.setattr(jars, "fetch", fetch)
        registry._unpacked(progress)
        return folder

    monkeypatch.setattr(jars, "fetch", fetch_and_wait)
    folder = registry._unpacked(progress=False)
    assert (folder / "quarkus-run.jar").exists()
    assert [each.name for each in folder.parent.iterdir()] == ["unpacked"]


def test_a_full_disk_is_one_line_and_nothing_half_unpacked(downloads, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    words = f"cannot unpack the schema registry to {tmp_path}.*: No space left on device; set "
    with pytest.raises(BrokerError, match=words):
        registry._unpacked(progress=False)
    assert not any(path.is_dir() for path in jars.folder_of(downloads[0]).iterdir())


def test_it_is_asked_without_a_proxy(monkeypatch):
    # urlopen keeps what it found in the environment at its first use.
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with schemas({}) as url:
        assert registry._answers(url)


def test_a_log_of_any_bytes(downloads, monkeypatch, tmp_path):
    attempts = []

    def launch(program, log, die_with_parent):
        attempts.append(log)
        log.write_bytes(b"\xff: already bound")
        raise BrokerError("did not come up")

    monkeypatch.setattr(registry, "_launch", launch)
    with pytest.raises(BrokerError, match="did not come up"):
        registry.start(tmp_path / "log", progress=False)
    assert len(attempts) == registry.STARTS_ON_FREE_PORTS


def test_a_program_that_does_not_start_is_an_error_with_its_log(downloads, tmp_path):
    with pytest.raises(BrokerError, match=r"it ended while starting.*registry\.log") as raised:
        registry.start(tmp_path / "log", progress=False)
    assert "quarkus-run.jar" in str(raised.value)
