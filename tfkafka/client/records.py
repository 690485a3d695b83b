"""Records to write, one after another or as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import TypeAlias

from tfkafka.chunk import Column

Text = bytes | str | None
Headers = list[tuple[str, Text]] | None
Record = tuple[Text, Text, Headers]


@dataclass(frozen=True)
class Records:
    """Records as columns.

    Args:
        values: one for each record.
        keys: as many; None: the records have none.
        headers: the names of headers, each with as many values; all records have all of them.
    """

    values: Column
    keys: Column | None = None
    headers: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = [*([] if self.keys is None else [self.keys]), *self.headers.values()]
        if any(len(column) != len(self) for column in others):
            raise ValueError(f"columns differ in their lengths: {len(self):,} values")

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Record]:
        keys = repeat(None, len(self)) if self.keys is None else self.keys.entries
        columns = [column.entries for column in self.headers.values()]
        rows = zip(*columns, strict=True) if columns else repeat(())
        for value, key, headers in zip(self.values.entries, keys, rows, strict=bool(columns)):
            yield value, key, [*zip(self.headers, headers, strict=True)]


# What one call writes.
Batch: TypeAlias = Iterable[Record] | Records
