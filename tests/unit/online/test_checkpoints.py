"""Checkpoints are there as a whole or not at all, and damage is noticed."""

from __future__ import annotations

import errno
import os
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from tests import forked
from tfkafka.errors import CheckpointError
from tfkafka.online import checkpoints
from tfkafka.online.checkpoints import Series, load, locked, replace, save

ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "seed": np.uint32(7)}


@pytest.fixture
def series(tmp_path) -> Series:
    """Numbers 1 to 3, each with its number in its header."""
    series = Series(tmp_path, "state")
    for number in (1, 2, 3):
        save(series.path(number), {"number": number}, ARRAYS)
    return series


def test_what_was_saved_comes_back(tmp_path):
    save(tmp_path / "a", {"offsets": [[0, 5]], "name": "é"}, ARRAYS)
    found = load(tmp_path / "a")
    assert found.header == {"offsets": [[0, 5]], "name": "é"}
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_same_state_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, {"number": 1}, ARRAYS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _flip(content: bytearray, at: int) -> None:
    content[at] ^= 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: _flip(content, 0),
        lambda content: _flip(content, 64),
        lambda content: _flip(content, len(content) // 2),
        lambda content: _flip(content, -1),
        lambda content: content.pop(),
        lambda content: content.append(0),
        lambda content: content.clear(),
    ],
    ids=["checksum", "line feed", "middle", "last bit", "cut", "longer", "empty"],
)
def test_damage_is_reported_and_the_one_before_used(series, spoil):
    content = bytearray(series.path(3).read_bytes())
    spoil(content)
    series.path(3).write_bytes(content)
    reported = []
    number, found = series.newest(reported.append)
    assert (number, found.header) == (2, {"number": 2})
    [line] = reported
    assert f"{series.path(3)}: is damaged" in line and line.endswith("using the one before")


def test_where_each_is_damaged_nothing_begins_again(series):
    for number in series.numbers():
        series.path(number).write_bytes(b"")
    with pytest.raises(CheckpointError, match="every state is damaged: delete the folder"):
        series.newest(lambda _line: None)


def test_none_at_all(tmp_path):
    assert Series(tmp_path, "state").newest(pytest.fail) is None


def test_series_are_apart_and_forget(series, tmp_path):
    plans = Series(tmp_path, "plan")
    save(plans.path(9), {}, {})
    series.forget_before(3)
    assert (series.numbers(), plans.numbers()) == ([3], [9])


def test_no_room_leaves_what_was_there(series):
    before = series.path(3).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(CheckpointError, match=r"0003\.ckpt: cannot be written: File too large"):
            save(series.path(3), {"number": 4}, ARRAYS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert series.path(3).read_bytes() == before
    assert not list(series.folder.glob(".new-*"))


def test_a_file_has_its_name_only_once_it_is_on_the_disk(tmp_path, monkeypatch):
    """In this order: content, flush, rename, flush of the folder."""
    steps = []
    fsync, rename = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def noted_rename(source, target) -> None:
        steps.append(f"{source} -> {target}")
        rename(source, target)

    monkeypatch.setattr(checkpoints.os, "fsync", noted_fsync)
    monkeypatch.setattr(checkpoints.os, "replace", noted_rename)
    target, scratch = tmp_path / "a", tmp_path / ".new-a"
    replace(target, lambda path: path.write_text("content"))
    assert steps == [f"{scratch}", f"{scratch} -> {target}", f"{tmp_path}"]
    assert target.read_text() == "content"


def test_a_broken_off_write_leaves_what_was_there(tmp_path):
    target = tmp_path / "a"
    target.write_text("old")

    def fail(path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CheckpointError, match="No space left on device; what was saved before"):
        replace(target, fail)
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "folder"
    with (
        locked(folder),
        pytest.raises(CheckpointError, match=rf"{folder}: another process \(pid {os.getpid()}"),
    ):
        locked(folder).__enter__()
    with locked(folder):
        pass


def hold(folder: Path, ends: Connection) -> None:
    with locked(folder):
        ends.send("locked")
        ends.recv()


def test_a_killed_process_leaves_no_lock_and_its_scratch_is_removed(tmp_path):
    context = forked.context()
    here, there = context.Pipe()
    holder = context.Process(target=hold, args=(tmp_path, there))
    holder.start()
    there.close()
    try:
        assert here.recv() == "locked"
        with pytest.raises(CheckpointError, match=f"pid {holder.pid}"):
            locked(tmp_path).__enter__()
        (tmp_path / ".new-state").write_text("half")
    finally:
        holder.kill()
        holder.join()
    with locked(tmp_path):
        assert os.listdir(tmp_path) == ["lock"]


def hold_and_fork(folder: Path, ends: Connection) -> None:
    with locked(folder):
        if os.fork():
            signal.pause()
        ends.send("forked")
        ends.recv()
        ends.send("ended")
        os._exit(0)


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_process(tmp_path):
    context = forked.context()
    here, there = context.Pipe()
    holder = context.Process(target=hold_and_fork, args=(tmp_path, there))
    holder.start()
    there.close()
    try:
        assert here.recv() == "forked"
        with pytest.raises(CheckpointError, match=f"pid {holder.pid}"):
            locked(tmp_path).__enter__()
    finally:
        holder.kill()
        holder.join()
    try:
        with locked(tmp_path):
            pass
    finally:
        here.send("end")
        assert here.recv() == "ended"


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file/folder: cannot be used: Not a directory"):
        locked(tmp_path / "file" / "folder").__enter__()
