"""`tfkafka.write`: texts, or columns with an encoder, as records of a topic."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from itertools import accumulate, chain, islice, repeat

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.columns import ColumnEncoder, Columns, Frame, as_columns, parts, rows
from tfkafka.chunk import Column
from tfkafka.client.batch_size import LARGE, takes_large_batches
from tfkafka.client.encoded import encoded
from tfkafka.client.producer import TIMEOUT_S, Producer
from tfkafka.client.records import Batch, Record, Records, Text

# How many records, and how many bytes of values, are put into the queue at a time.
BATCH_RECORDS = 8192
BATCH_BYTES = 8_000_000

# What to do with numbers.
_ADVICE = {
    "values": ": for numbers give columns and encoder=, for example encoder=JsonEncoder()",
    "keys": ": give numbers as text, for example [str(key) for key in keys]",
}
_BYTES = frozenset({bytes, type(None)})
_SEVERAL = "a list or another iterable of texts or bytes, one for each record"


def write(
    servers: str,
    topic: str,
    values: Iterable[Text] | Columns | Frame,
    keys: Iterable[Text] | None = None,
    *,
    encoder: ColumnEncoder | None = None,
    partition: int | None = None,
    configuration: config.Configuration = None,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Write records and return their number once the broker has acknowledged all of them.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: the topic; it must exist, even where the broker would create it.
        values: one text or bytes for each record, None is a tombstone; or, with an encoder, columns
            with one row for each record: an array [n, ...], a dict of arrays by name, or a
            DataFrame of pandas or polars. What a generator yields is sent as it comes.
        keys: as many as values, texts or bytes; or None for records without keys.
        encoder: the `Encoder` that turns columns into values, for example `JsonEncoder()`.
        partition: the partition of all records; None: chosen by key, as Java clients do.
        configuration: librdkafka's settings.
        timeout_s: seconds that the acknowledgements may take once all records are in the queue.

    Raises:
        WriteError: at least one record was not acknowledged; the message has their number, and the
            first of those that were refused.
        ConfigurationError: a setting is unknown or refused.
        TypeError: a value or a key is neither text nor bytes nor None; the message has its number.
            Records before it may have been written.
        ValueError: keys and values differ in number; or the encoder cannot write the columns.

    Example:
        tfkafka.write("localhost:9092", "clicks", ["1.5,2", "0.5,3"], keys=["a", "b"])
        columns = {"x": np.array([1.5, 0.5]), "count": np.array([2, 3])}
        tfkafka.write("localhost:9092", "clicks", columns, encoder=tfkafka.JsonEncoder())
    """
    arguments.text("servers", servers)
    arguments.text("topic", topic)
    columns, count = _values(values, encoder)
    arguments.optional(arguments.several, "keys", keys, _SEVERAL)
    partition = arguments.optional(arguments.partition, "partition", partition)
    timeout_s = arguments.seconds("timeout_s", timeout_s)
    if count is not None and isinstance(keys, Sized) and count != len(keys):
        raise ValueError(
            f"keys has {len(keys):,} entries, and values has {count:,}: give one key for each value"
        )
    settings = config.Settings({"bootstrap.servers": servers}) | config.parse(configuration)
    producer = _connected(settings, topic, timeout_s)
    batches: Iterable[Batch]
    if count is not None and (keys is None or isinstance(keys, Sized)):
        batches = _batches(columns, keys)
    else:
        entries = values if encoder is None else chain.from_iterable(c.entries for c in columns)
        batches = [_records(entries, keys)]  # type: ignore[arg-type]  # no columns
    return producer.send(topic, batches, partition)


def _connected(settings: config.Settings, topic: str, timeout_s: float) -> Producer:
    """Return a producer whose batches are as large as the topic takes."""
    producer = Producer({"batch.size": LARGE} | settings, timeout_s)
    producer.connect(topic)
    if "batch.size" in settings or takes_large_batches(settings, topic):
        return producer
    producer = Producer(settings, timeout_s)
    producer.connect(topic)
    return producer


def _values(
    values: Iterable[Text] | Columns | Frame, encoder: ColumnEncoder | None
) -> tuple[Iterator[Column], int | None]:
    """Return values in parts, and their number where it is known without going through them.

    The first part of columns is encoded at once: what an encoder cannot write is refused before
    anything is sent.
    """
    if encoder is None:
        is_columns = isinstance(values, Mapping) or hasattr(values, "columns")
        with_encoder = ", or columns with encoder=, for example encoder=JsonEncoder()"
        arguments.several("values", None if is_columns else values, _SEVERAL + with_encoder)
        count = len(values) if isinstance(values, Sized) else None
        return _columns(values), count  # type: ignore[arg-type]  # no columns
    what = "an encoder, for example JsonEncoder(), or None"
    # Both have a method encode, and cannot encode columns.
    is_none = isinstance(encoder, type | str)
    arguments.instance("encoder", None if is_none else encoder, ColumnEncoder, what)
    table = as_columns("values", values)
    several = (
        encoded(encoder, part, number * BATCH_RECORDS)
        for number, part in enumerate(parts(table, BATCH_RECORDS))
    )
    return chain([*islice(several, 1)], several), rows(table)


def _batches(values: Iterator[Column], keys: Iterable[Text] | None) -> Iterator[Records]:
    """Yield records in parts. Raises ValueError where keys and values differ in number."""
    if keys is None:
        yield from map(Records, values)
        return
    left, before = iter(keys), 0
    for some in values:
        some_keys = _column("keys", [*islice(left, len(some))], before)
        if len(some_keys) < len(some):
            raise _different()
        yield Records(some, some_keys)
        before += len(some)
    if [*islice(left, 1)]:
        raise _different()


def _columns(values: Iterable[Text]) -> Iterator[Column]:
    """Yield texts in parts: of `BATCH_RECORDS`, or of fewer that have `BATCH_BYTES`."""
    iterator, before = iter(values), 0
    while some := [*islice(iterator, BATCH_RECORDS)]:
        while some:
            count = _fitting(some)
            yield _column("values", some[:count], before)
            some, before = some[count:], before + count


def _fitting(entries: Sequence[Text]) -> int:
    """Return how many of the first entries have at most `BATCH_BYTES`; one at least."""
    try:
        if sum(map(len, entries)) <= BATCH_BYTES:  # type: ignore[arg-type]  # see below
            return len(entries)
    except TypeError:  # of None, and of what is refused below
        pass
    sizes = (len(each) if isinstance(each, str | bytes) else 0 for each in entries)
    return max(1, bisect([*accumulate(sizes)], BATCH_BYTES))


def _records(values: Iterable[Text], keys: Iterable[Text] | None) -> Iterator[Record]:
    """Yield records one by one: what a slow generator has yielded must not wait for more."""
    pairs = zip(values, repeat(None)) if keys is None else _pairs(values, keys)
    for number, (value, key) in enumerate(pairs):
        yield _bytes("values", number, value), _bytes("keys", number, key), None


def _pairs(values: Iterable[Text], keys: Iterable[Text]) -> Iterator[tuple[Text, Text]]:
    """Yield values with their keys. Raises ValueError where they differ in number."""
    of_keys, nothing = iter(keys), object()
    for value in values:
        key = next(of_keys, nothing)
        if key is nothing:
            raise _different()
        yield value, key  # type: ignore[misc]  # not nothing
    if next(of_keys, nothing) is not nothing:
        raise _different()


def _column(name: str, entries: list[Text], before: int) -> Column:
    """Return texts as a column, encoded as UTF-8.

    Raises TypeError, or ValueError, where one cannot be written.

    Args:
        name: the argument's name, for errors.
        entries: the texts.
        before: the number of texts before these.
    """
    with suppress(UnicodeEncodeError):  # it is refused below
        entries = [each.encode() if isinstance(each, str) else each for each in entries]
    if not _BYTES.issuperset(map(type, entries)):
        entries = [_bytes(name, number, each) for number, each in enumerate(entries, before)]
    return Column.of(entries, len(entries))  # type: ignore[arg-type]  # there is no str


def _bytes(name: str, number: int, entry: Text) -> bytes | None:
    """Return a text in UTF-8. Raises TypeError, or ValueError, where it cannot be written.

    confluent-kafka would write the memory of anything that has a buffer, for example eight bytes
    for a number of NumPy's.
    """
    if entry is None:
        return None
    if isinstance(entry, str):
        arguments.encodable(f"{name}[{number}]", entry)
        return entry.encode()
    arguments.instance(f"{name}[{number}]", entry, bytes, "text, bytes or None" + _ADVICE[name])
    return entry


def _different() -> ValueError:
    return ValueError("keys and values differ in number: give one key for each value")
