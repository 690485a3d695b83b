"""Whether a library is of the sources beside it."""

from __future__ import annotations

import pytest

from tfkafka.native import sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    (tmp_path / "vendor").mkdir()
    for name in ("a.cc", "b.h", "vendor/c.h"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("changed", ["a.cc", "b.h", "vendor/c.h", "new.cc"])
def test_a_library_is_not_current_once_a_file_has_changed(folder, changed):
    library = folder / "library.so"
    library.write_text(f"code {sources.digest()} data")
    assert sources.is_current(library)
    (folder / changed).write_text("something else")
    assert not sources.is_current(library)


def test_an_installed_library_has_no_sources_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    library = tmp_path / "library.so"
    library.write_text("code and data")
    assert sources.digest() == ""
    assert sources.is_current(library)
