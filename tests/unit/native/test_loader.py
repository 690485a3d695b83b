"""Libraries that cannot be loaded: there is a reason, and Python does the work."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaException, cimpl

from tests import fillers, isolated
from tfkafka import native
from tfkafka.client.plugin import with_plugin
from tfkafka.native import sources

# The head of a shared library for 64-bit ARM.
ARM = bytes.fromhex("7f454c46 02010100 0000000000000000 0300b700 01000000").ljust(64, b"\0")


@pytest.fixture(autouse=True)
def wanted(monkeypatch):
    monkeypatch.setenv(native.VARIABLE, "1")


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """A path at which the native library is looked for, in a folder without sources."""
    for cached in (native._load, native._for_clients):
        monkeypatch.setattr(native, cached.__name__, cached.__wrapped__)
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    monkeypatch.setattr(native, "PATH", tmp_path / "library.so")
    return native.PATH


@pytest.fixture
def moved(library, request, monkeypatch) -> Path:
    """The native library, copied into a folder of the name that the test gives."""
    path = library.parent / request.param / library.name
    path.parent.mkdir()
    shutil.copy(built(), path)
    monkeypatch.setattr(native, "PATH", path)
    return path


def built() -> Path:
    if not sources.LIBRARY.exists():
        pytest.skip("the native library is not built")
    return sources.LIBRARY


def test_there_is_none(library):
    assert native.why_not() == f"there is no {library}"
    assert native.why_not_for_clients(cimpl.__file__) == native.why_not()


def test_in_a_checkout_the_reason_says_how_to_compile_it(library, monkeypatch):
    (library.parent / "a.cc").touch()
    how = " (make native, or python -m tfkafka.native.build, compiles it)"
    assert native.why_not() == f"there is no {library}{how}"
    library.write_bytes(b"an earlier one")
    assert native.why_not() == f"{library} is of other sources{how}"


@pytest.mark.parametrize(
    "content", [b"", b"no library", ARM, b"\xcf\xfa\xed\xfe" + ARM], ids=["", "text", "ARM", "Mac"]
)
def test_a_file_that_is_no_library_of_this_machine(library, content):
    library.write_bytes(content)
    reason = native.why_not()
    assert reason.startswith(f"{library} cannot be loaded: ")
    assert reason.count(str(library)) == 1
    assert len(reason.splitlines()) == 1


def test_a_file_that_cannot_be_read(library):
    library.mkdir()
    assert native.why_not() == f"{library} cannot be loaded: [Errno 21] Is a directory: '{library}'"


def test_a_library_without_our_functions(library):
    """Nor is it loaded where only some are missing."""
    shutil.copy(cimpl.__file__, library)
    assert "tk_abi" in native.why_not()


def test_a_library_without_one_of_our_functions(library, monkeypatch):
    shutil.copy(built(), library)
    monkeypatch.setitem(native._FUNCTIONS, "tk_new", (None, []))
    assert native.why_not().endswith("undefined symbol: tk_new")


def test_a_library_of_another_version(library, monkeypatch):
    shutil.copy(built(), library)
    monkeypatch.setattr(native, "ABI", native.ABI + 1)
    assert native.why_not() == f"{library} is of another version of tfkafka"


@pytest.mark.parametrize("moved", ["a b", "é ß 🜁", 'it\'s "$x", 100%'], indirect=True)
def test_a_folder_may_have_blanks_quotes_and_letters(moved):
    filler = native._for_clients(cimpl.__file__)[0]
    assert filler is not None
    consumer = confluent_kafka.Consumer(with_plugin({"group.id": "g"}))
    assert filler.tk_take_new_client()
    consumer.close()


def test_a_client_that_is_gone_is_not_shown(wanted):
    library = fillers.native_library()
    confluent_kafka.Producer(with_plugin({}))
    assert library.tk_take_new_client() is None


@pytest.mark.parametrize("moved", ["a;b", os.fsdecode(b"a\xff")], indirect=True)
def test_librdkafka_takes_no_plugin_from_some_folders(moved):
    # Other tests read the names of what their process has loaded as UTF-8.
    isolated.run(check_refusal, moved)


def check_refusal(path: Path) -> None:
    native.PATH = path
    sources.FOLDER = path.parent
    with pytest.raises((KafkaException, SystemError)):
        confluent_kafka.Consumer(with_plugin({"group.id": "g"}))
    assert native.why_not() == ""
    assert native.why_not_for_clients(cimpl.__file__) == (
        f"librdkafka cannot have a plugin with the path {str(path)!r}"
    )


def test_it_is_not_wanted(library, monkeypatch):
    monkeypatch.setenv(native.VARIABLE, "0")
    assert native.why_not() == native.why_not_for_clients(cimpl.__file__) == f"{native.VARIABLE}=0"


def test_a_librdkafka_that_is_none(library, monkeypatch):
    shutil.copy(built(), library)
    assert native.why_not_for_clients("no such file").startswith("no such file: cannot open shared")
    assert native.why_not_for_clients(str(library)).startswith("librdkafka has no rd_kafka_")
