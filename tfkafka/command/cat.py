"""`tfkafka cat`: a few records of a topic, as they are or decoded."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tfkafka._util.arguments import LARGEST
from tfkafka._util.text import printable
from tfkafka.client.names import check_topic_name, parse_addresses
from tfkafka.command.options import (
    as_json_option,
    checked,
    command_config_option,
    json_line,
    print_json,
)

if TYPE_CHECKING:
    from tfkafka.chunk import Chunk
    from tfkafka.config import Settings
    from tfkafka.decoding.csv import CsvDecoder

FIRST = 10
LONGEST = 200
COUNT = click.IntRange(1, LARGEST)


@click.command(short_help="Show a few records of a topic.")
@click.argument("topic", callback=checked(check_topic_name))
@click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT",
    callback=checked(parse_addresses),
    help="Where Kafka is.  [default: that of the settings, or localhost:9092]",
)
@click.option("--first", type=COUNT, help=f"How many of the first records.  [default: {FIRST}]")
@click.option("--last", type=COUNT, help="How many of the last records of each partition.")
@click.option(
    "--csv",
    "columns",
    metavar="COLUMNS",
    help="Decode values as CSV with this number of columns, or these names (a,b,c).",
)
@command_config_option
@as_json_option
def cat(
    topic: str,
    bootstrap_servers: str | None,
    first: int | None,
    last: int | None,
    columns: str | None,
    settings: Settings | None,
    as_json: bool,
) -> None:
    """Show a few records of TOPIC, one on each line, and commit nothing.

    A line has partition:offset, the time, the key and the value. With --json it is a JSON object:
    a value that is JSON is in it as "value", another as "text", or as "base64" if it is not UTF-8.
    JSON that would not be shown as it is, such as one that repeats a name, is "text".
    With --csv "value" has the numbers, and "bad" says why there are none.
    """
    if first and last:
        raise click.UsageError("--first and --last exclude each other: give one of them")
    # Not imported above: --help need not wait for a Kafka client.
    from tfkafka.reading.bounded import bounded_reader

    decoder = None if columns is None else _decoder(columns)
    most = None if last else first or FIRST
    reader = bounded_reader(
        topic,
        last=last,
        max_records=most,
        servers=bootstrap_servers,
        configuration=settings,
        metadata=True,
    )
    count = 0
    with closing(reader.read(reader.pin())) as chunks:
        for prepared in chunks:
            chunk = prepared.chunk
            count += len(chunk)
            values = _decoded(decoder, chunk) if decoder else _undecoded(chunk, as_json)
            for record in _records(chunk, values):
                print_json(record.as_json()) if as_json else click.echo(record.line())
    if not count:
        click.echo(f"Topic {topic} has no record.", err=True)


def _decoder(columns: str) -> CsvDecoder:
    from tfkafka import CsvDecoder

    try:
        # Values that are not finite have no name in JSON.
        return CsvDecoder(int(columns) if columns.isdecimal() else columns.split(","), finite=True)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--csv") from None


@dataclass(frozen=True)
class _Record:
    """A record, and its value as JSON has it: see `cat`."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: dict[str, Any]

    def line(self) -> str:
        """Return the record on one line, which is cut where it is long."""
        if "bad" in self.value:
            value = f"cannot be decoded: {self.value['bad']}"
        else:
            value = _shown(*self.value.values())
        return f"{self.partition}:{self.offset}  {self._time()}  {_shown(_text(self.key))}  {value}"

    def as_json(self) -> dict[str, Any]:
        where = {"partition": self.partition, "offset": self.offset, "timestamp": self.timestamp_ms}
        return {**where, "key": _text(self.key), **self.value}

    def _time(self) -> str:
        if self.timestamp_ms < 0:
            return "-"
        try:
            time = datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            # Not ms, or after the year 9999.
            return str(self.timestamp_ms)
        return f"{time:%Y-%m-%dT%H:%M:%S}.{self.timestamp_ms % 1000:03}Z"


def _records(chunk: Chunk, values: Iterable[dict[str, Any]]) -> Iterator[_Record]:
    timestamps, _ = chunk.metadata
    numbers = (each.tolist() for each in (chunk.partitions, chunk.offsets, timestamps))
    for columns in zip(*numbers, chunk.keys.entries, values, strict=True):
        yield _Record(*columns)


def _decoded(decoder: CsvDecoder, chunk: Chunk) -> list[dict[str, Any]]:
    """Return the numbers of each record, or why it has none."""
    found: list[dict[str, Any]] = [{} for _ in range(len(chunk))]
    decoded = decoder.decode(chunk)
    for fault in decoded.faults:
        found[fault.index] = {**_raw(chunk.values.entries[fault.index]), "bad": fault.reason}
    [features] = decoded.arrays
    for index, row in zip(decoded.kept.tolist(), features, strict=True):
        # The shortest number that is this float32, not the float64 that it equals.
        numbers = [float(str(number)) for number in row]
        found[index] = {"value": _by_name(decoder.columns, numbers)}
    return found


def _by_name(columns: int | Sequence[str], numbers: list[float]) -> object:
    return numbers if isinstance(columns, int) else dict(zip(columns, numbers, strict=True))


def _undecoded(chunk: Chunk, as_json: bool) -> list[dict[str, Any]]:
    if as_json:
        return list(map(_parsed, chunk.values.entries))
    return [{"text": _text(value)} for value in chunk.values.entries]


def _parsed(value: bytes | None) -> dict[str, Any]:
    try:
        found = {"value": json.loads((value or b"").decode(), object_pairs_hook=_without_repeats)}
        # Not all that can be parsed can be printed: 1e999 is parsed as inf.
        json_line(found)
    except (ValueError, RecursionError):
        return _raw(value)
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice: one of its values would be lost")
    return found


def _raw(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value": None}
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _text(value: bytes | None) -> str | None:
    """Return UTF-8 as text, other bytes with escapes."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return repr(value)[2:-1]


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    line = printable(text)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}... ({len(text):,} characters)"
