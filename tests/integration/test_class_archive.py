"""The archive of Kafka's classes: starts use it, and none fails because of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.broker_child import fresh_cache
from tfkafka import Admin, write
from tfkafka.testing.brokers import class_archive, embedded, jars, launch
from tfkafka.testing.brokers.base import admin_client
from tfkafka.testing.brokers.embedded import EmbeddedBroker
from tfkafka.testing.brokers.processes import run_java

LOCK = jars.read_lock("3.9.2")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the jars, without an archive, for this test alone."""
    folder = fresh_cache(tmp_path, LOCK)
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path))
    return folder


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedBroker, Path]]:
    """A broker whose start found no archive, and the folder of its jars."""
    root = tmp_path_factory.mktemp("cache")
    folder = fresh_cache(root, LOCK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(jars.CACHE_VARIABLE, str(root))
        broker = embedded.start(tmp_path_factory.mktemp("kafka"), LOCK.version, progress=False)
        yield broker, folder
        broker.stop()


def uses(broker: EmbeddedBroker, archive: Path) -> bool:
    """Whether the broker's Java has mapped the archive into its memory."""
    return str(archive) in Path(f"/proc/{broker.state.kafka.pid}/maps").read_text()


def printed_version(flags: list[str]) -> str:
    """All that Java prints; it says `sharing` where it uses an archive."""
    done = run_java([*flags, "-cp", jars.classpath(LOCK), "-version"])
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def test_the_first_start_makes_it_and_the_next_uses_it(started):
    broker, folder = started
    [archive] = folder.glob("*.jsa")
    assert not uses(broker, archive)
    broker.kill()
    broker.restart()
    assert uses(broker, archive)
    assert {path.name for path in folder.iterdir() if path.suffix != ".jar"} == {
        ".classes.lock",
        "formatted",
        archive.name,
    }
    with class_archive.recording(LOCK) as recording:
        assert recording is None


def test_the_next_start_formats_its_folder_without_kafkas_tool(started, tmp_path, monkeypatch):
    broker, folder = started
    # The one that is kept is as it was before a broker used it.
    assert {path.name for path in (folder / "formatted").iterdir()} == {
        "bootstrap.checkpoint",
        "meta.properties",
    }
    monkeypatch.setattr(launch, "run_java", None)
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(folder.parents[1]))
    second = embedded.start(tmp_path / "second", LOCK.version, progress=False)
    try:
        Admin(second.bootstrap_servers).create_topic("numbers")
        assert write(second.bootstrap_servers, "numbers", ["1"]) == 1
        clusters = [
            admin_client(each.bootstrap_servers).list_topics().cluster_id
            for each in (broker, second)
        ]
    finally:
        second.stop()
    assert len(set(clusters)) == 2


def test_a_damaged_one_is_not_used_and_nothing_is_printed(started):
    [archive] = started[1].glob("*.jsa")
    flags, whole = class_archive.flags(LOCK), archive.read_bytes()
    assert "sharing" in printed_version(flags)
    plain = printed_version([])
    assert "sharing" not in plain
    middle = len(whole) // 2
    damaged = whole[:middle] + os.urandom(4096) + whole[middle + 4096 :]
    for content in (damaged, whole[:middle], whole[:100], b"no archive", None):
        archive.unlink()  # the broker still has the old file
        if content is not None:
            archive.write_bytes(content)
        assert printed_version(flags) == plain
    archive.write_bytes(whole)


def test_each_set_of_jars_has_its_own(started):
    folder = started[1]
    assert class_archive.flags(LOCK)
    jar = folder / LOCK.jars[0].file_name
    content, target = jar.read_bytes(), jar.readlink()
    jar.unlink()
    jar.write_bytes(content)  # the same jar, downloaded again
    os.utime(jar, (0, 0))
    assert class_archive.flags(LOCK) == []
    jar.unlink()
    jar.symlink_to(target)
    assert class_archive.flags(LOCK)


def test_where_java_cannot_make_it_that_is_not_tried_again(cache, monkeypatch):
    monkeypatch.setattr(class_archive, "DUMP", ["-Xshare:dump", "-XX:+NoSuchFlag"])
    with class_archive.recording(LOCK) as recording:
        printed_version(recording.flags(launch.KAFKA_MAIN))
        recording.make_archive()
    [archive] = cache.glob("*.jsa")
    assert archive.stat().st_size == 0
    assert class_archive.flags(LOCK) == []
    with class_archive.recording(LOCK) as recording:
        assert recording is None


def test_one_process_makes_it_and_what_a_killed_one_left_is_removed(cache):
    (cache / ".classes").mkdir()
    (cache / ".classes" / "half").touch()
    with class_archive.recording(LOCK) as first:
        assert first is not None
        assert not (cache / ".classes" / "half").exists()
        with class_archive.recording(LOCK) as second:
            assert second is None
    assert not (cache / ".classes").exists()


def test_a_folder_that_cannot_be_written_or_is_full_gets_none(cache, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(class_archive, "FREE_BYTES", 2**62)
        with class_archive.recording(LOCK) as recording:
            assert recording is None
    (cache / ".classes.lock").mkdir()  # root may write to every folder, but not to this one
    with class_archive.recording(LOCK) as recording:
        assert recording is None
    assert list(cache.glob("*.jsa")) == []
    assert class_archive.flags(LOCK) == []


def test_lists_of_several_processes_become_one():
    first = (
        "# a remark\njava/lang/Object id: 0\nkafka/Kafka id: 1\n"
        "kafka/Plugin id: 2 super: 0 source: plugin.jar\n@lambda-proxy kafka/Kafka run\n"
    )
    second = "java/lang/Object id: 0\nkafka/Tool id: 1\nkafka/Half"
    assert class_archive.merged([first, second]).splitlines() == [
        "# a remark",
        "java/lang/Object",
        "kafka/Kafka",
        "@lambda-proxy kafka/Kafka run",
        "kafka/Tool",
    ]
