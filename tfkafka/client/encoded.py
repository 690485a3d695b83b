"""What encoders make of columns: the values of records, as a column."""

from __future__ import annotations

from typing import Protocol, cast

from tfkafka._util import arguments
from tfkafka._util.columns import ColumnEncoder, Columns, RowError, rows
from tfkafka.chunk import Column


class _OfBuffers(Protocol):
    """An encoder that makes no bytes object for each record."""

    def _encode_column(self, columns: Columns) -> Column:
        """Return what `encode` returns."""


def encoded(encoder: ColumnEncoder, columns: Columns, before: int = 0) -> Column:
    """Return what an encoder makes of columns.

    Args:
        encoder: the encoder.
        columns: the columns.
        before: the number of rows that were encoded before these.

    Raises:
        RowError: a row cannot be encoded.
        ValueError: the encoder refuses the columns, or did not return one value for each row.
    """
    try:
        # A subclass may have an encode of its own.
        if "_encode_column" in vars(type(encoder)):
            return cast(_OfBuffers, encoder)._encode_column(columns)
        values = encoder.encode(columns)
    except RowError as error:
        raise RowError(before + error.index, error.what) from None
    count = rows(columns)
    is_right = isinstance(values, list) and all(isinstance(value, bytes) for value in values)
    if not is_right or len(values) != count:
        what = f"{len(values):,} values" if is_right else arguments.shown(values)
        raise ValueError(
            f"{type(encoder).__name__}.encode returned {what} for {count:,} rows, must return a "
            f"list of bytes, one for each row"
        )
    return Column.of(values, count)
