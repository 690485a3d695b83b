"""Data folders are copies of one that Kafka's tool has formatted, with ids of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import formatting, jars

LOCK = jars.read_lock("3.9.2")
META = "#\n#date\ncluster.id=c0\ndirectory.id=d0\nnode.id=0\nversion=1\n"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which a formatted folder is kept."""
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = jars.folder_of(LOCK)
    folder.mkdir(parents=True)
    formatting.keep(LOCK, formatted(tmp_path / "first"))
    assert os.listdir(folder) == ["formatted"]
    return folder / "formatted"


def formatted(folder: Path, mark: str = "kept") -> Path:
    (folder / "__cluster_metadata-0").mkdir(parents=True)
    (folder / "__cluster_metadata-0" / "0.checkpoint").write_text(mark)
    (folder / "meta.properties").write_text(META)
    return folder


def test_a_copy_has_ids_of_its_own(kept, tmp_path):
    data = tmp_path / "data" / "kafka"
    assert formatting.copy(LOCK, data, "c1", 2)
    lines = (data / "meta.properties").read_text().splitlines()
    directory = lines.pop(3)
    assert lines == ["#", "#date", "cluster.id=c1", "node.id=2", "version=1"]
    assert directory.startswith("directory.id=") and len(directory) == len("directory.id=") + 22
    assert (data / "__cluster_metadata-0" / "0.checkpoint").read_text() == "kept"
    assert os.listdir(data.parent) == ["kafka"]
    assert formatting.cluster_id(data) == "c1"
    assert (kept / "meta.properties").read_text() == META


def test_what_is_there_is_left_alone(kept, tmp_path):
    data = tmp_path / "data" / "kafka"
    data.mkdir(parents=True)
    (data / "record").touch()
    assert not formatting.copy(LOCK, data, "c1", 0)
    assert os.listdir(data) == ["record"]


def test_what_a_killed_start_left_is_no_obstacle(kept, tmp_path):
    data = tmp_path / "data" / "kafka"
    (data.parent / ".formatting" / "half").mkdir(parents=True)
    assert formatting.copy(LOCK, data, "c1", 0)
    assert set(os.listdir(data)) == {"__cluster_metadata-0", "meta.properties"}


def test_without_one_that_is_kept_or_with_a_damaged_one_nothing_is_left(kept, tmp_path):
    data = tmp_path / "data" / "kafka"
    data.parent.mkdir()
    (kept / "meta.properties").unlink()
    assert not formatting.copy(LOCK, data, "c1", 0)
    assert not formatting.copy(jars.read_lock("4.4.0"), data, "c1", 0)
    assert os.listdir(data.parent) == []


def test_the_first_that_is_kept_stays(kept, tmp_path):
    formatting.keep(LOCK, formatted(tmp_path / "second", "another"))
    assert (kept / "__cluster_metadata-0" / "0.checkpoint").read_text() == "kept"
    assert os.listdir(kept.parent) == ["formatted"]


def test_ids():
    assert len({formatting.new_id() for _ in range(200)}) == 200
    assert not any(formatting.new_id().startswith("-") for _ in range(2000))


def test_a_folder_that_names_no_cluster_is_named(tmp_path):
    assert formatting.cluster_id(tmp_path) is None
    (tmp_path / "meta.properties").write_text("version=1\n")
    with pytest.raises(BrokerError, match=r"meta\.properties names no cluster: delete the folder"):
        formatting.cluster_id(tmp_path)
