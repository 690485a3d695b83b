"""Files of settings as Java reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfkafka.testing.brokers import jars, private
from tfkafka.testing.brokers.settings import Ports, logging_flag, write_settings

LOCK = jars.read_lock("3.9.2")


def as_java_reads(line: str) -> tuple[str, str]:
    """Name and value by the rules of java.util.Properties, for a line with "="."""
    name, _, value = line.partition("=")
    units = re.sub(
        r"\\(u([0-9a-f]{4})|.)",
        lambda found: chr(int(found[2], 16)) if found[2] else found[1],
        value.lstrip(" \t\f"),
    )
    return name, units.encode("utf-16", "surrogatepass").decode("utf-16")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_java_reads_each_value_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: str):
    config = tmp_path_factory.getbasetemp() / "values"
    write_settings(config, Path("/data"), LOCK, Ports(1, 2), {"ours": value})
    text = (config / "server.properties").read_bytes().decode("latin-1")
    read = dict(as_java_reads(line) for line in text.splitlines())
    assert read["ours"] == value
    assert read["log.dirs"] == "/data/kafka"


def test_settings_of_the_log_are_a_url():
    flag = logging_flag(Path("/a b/ü,#"), LOCK)
    assert flag == "-Dlog4j.configuration=file:///a%20b/%C3%BC%2C%23/logging.properties"


def test_what_others_could_read_is_replaced(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    file = folder / "file"
    file.write_text("old")
    file.chmod(0o644)
    private.make_folder(folder)
    private.write(file, b"new")
    assert file.read_bytes() == b"new"
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
