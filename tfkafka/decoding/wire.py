"""Reading of Protocol Buffers' wire format in whole columns, where a message is laid out plainly.

Serialisers write each field of a message once. Everything else that the format allows, for example
a field that is written twice, is left to a parser of single messages: here it counts as not plain.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]

# A place that there is not. It indexes the last byte of the padding, which is no tag.
NOWHERE = -1
# No tag and no length that is read beyond the end of a message is longer.
_PADDING = np.zeros(16, np.uint8)
# A length has at most 5 bytes, a number at most 10.
_LENGTH_BITS, _LONGEST_NUMBER = 35, 10
# How many names that nobody asked for are distinguished in one place of the messages of a column.
# Each costs a pass over those that are left. Messages with still others are not plain.
_OTHER_NAMES = 16


def tag(field: int) -> int:
    """Return the tag of a field that has a length: text, bytes, a message, packed numbers."""
    return field << 3 | 2


@dataclass(frozen=True)
class Spans:
    """One stretch of bytes for each message of a column.

    Attributes:
        start, stop: int64 [n], where in the buffer it begins and ends, or `NOWHERE`.
    """

    start: Ints
    stop: Ints

    @classmethod
    def nowhere(cls, count: int) -> Spans:
        """Return `count` stretches that are nowhere."""
        return cls(np.full(count, NOWHERE), np.full(count, NOWHERE))

    def __getitem__(self, chosen: NDArray[Any]) -> Spans:
        return Spans(self.start[chosen], self.stop[chosen])

    def __setitem__(self, chosen: NDArray[Any], spans: Spans) -> None:
        self.start[chosen], self.stop[chosen] = spans.start, spans.stop

    @property
    def is_there(self) -> NDArray[np.bool_]:
        """bool [n]: whether it is anywhere."""
        return self.start >= 0

    def ends_with(self, outer: Spans) -> NDArray[np.bool_]:
        """Return bool [n]: whether it is there and fills the outer one up to its end."""
        is_there: NDArray[np.bool_] = self.is_there & (self.stop == outer.stop)
        return is_there


def padded(buffer: Bytes) -> Bytes:
    """Return a buffer that the other functions can read."""
    return np.concatenate([buffer, _PADDING])


def content(buffer: Bytes, outer: Spans, tag: int) -> Spans:
    """Return the content of the field that begins where the outer stretches begin.

    It is nowhere where another field begins there, or where it is longer than the outer stretch.
    """
    length, start = _lengths(buffer, outer.start + 1)
    stop = start + length
    is_there = outer.is_there & (buffer[outer.start] == tag) & (length >= 0) & (stop <= outer.stop)
    return Spans(np.where(is_there, start, NOWHERE), np.where(is_there, stop, NOWHERE))


def map_values(
    buffer: Bytes, entries: Spans, names: list[bytes]
) -> tuple[Mapping[bytes, Spans], NDArray[np.bool_]]:
    """Find the values of a map from text to messages, which is field 1 of its own message.

    Args:
        entries: the messages that have the map and nothing else.
        names: the keys that are looked for.

    Returns:
        Where the value of each key is, and bool [n]: whether the message is plain. It is not where
        a key comes twice, or where messages differ in more than 16 keys that are not looked for in
        one place.
    """
    found = {name: Spans.nowhere(len(entries.start)) for name in names}
    is_plain = entries.is_there
    rows = np.flatnonzero(is_plain & (entries.start < entries.stop))
    rest = entries[rows]
    while rows.size:
        entry = content(buffer, rest, tag(1))
        key = content(buffer, entry, tag(1))
        value = content(buffer, Spans(key.stop, entry.stop), tag(2))
        is_right = value.ends_with(entry)
        is_plain[rows[~is_right]] = False
        rows, key, value, rest = rows[is_right], key[is_right], value[is_right], rest[is_right]
        is_plain[rows[~_sort_in(buffer, rows, key, value, found)]] = False
        rest = Spans(value.stop, rest.stop)
        goes_on = rest.start < rest.stop
        rows, rest = rows[goes_on], rest[goes_on]
    return found, is_plain


def slices(buffer: Bytes, starts: Ints, size: int) -> Bytes:
    """Return uint8 [n, size]: the bytes that begin at `starts`."""
    if not size or not len(starts):
        return np.zeros((len(starts), size), np.uint8)
    return sliding_window_view(buffer, size)[starts]


def numbers(buffer: Bytes, packed: Spans, count: int) -> tuple[NDArray[np.bool_], Ints]:
    """Read packed whole numbers of 64 bits.

    Returns:
        bool [n], whether there are `count` numbers in each stretch, and int64 [m, count], those of
        the m stretches that have them.
    """
    lengths = packed.stop - packed.start
    before = np.cumsum(lengths) - lengths
    data = buffer[np.repeat(packed.start - before, lengths) + np.arange(lengths.sum())]
    # A number ends at the first byte below 0x80.
    ends = np.flatnonzero(data < 0x80)
    first = np.searchsorted(ends, before)
    is_right = np.searchsorted(ends, before + lengths) - first == count
    is_right &= buffer[packed.stop - 1] < 0x80
    which = (first[is_right, None] + np.arange(count)).ravel()
    begins = np.concatenate([[0], ends[:-1] + 1])[which]
    # Not further back: there may be another stretch that ends within a number.
    begins = np.maximum(begins, np.repeat(before[is_right], count))
    sizes = ends[which] + 1 - begins
    values = np.zeros(len(which), np.uint64)
    for index in range(min(int(sizes.max(initial=0)), _LONGEST_NUMBER)):
        reaching = sizes > index
        bits = data[begins[reaching] + index].astype(np.uint64) & np.uint64(0x7F)
        values[reaching] |= bits << np.uint64(7 * index)
    is_too_long = sizes > _LONGEST_NUMBER
    is_too_long |= (sizes == _LONGEST_NUMBER) & (data[ends[which]] > 1)
    is_number = ~is_too_long.reshape(-1, count).any(axis=1)
    is_right[is_right] = is_number
    return is_right, values.view(np.int64).reshape(-1, count)[is_number]


def _lengths(buffer: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Return the lengths that are written there, -1 for one too long, and where each ends."""
    length, at = buffer[at].astype(np.int64), at + 1
    goes_on = length >= 0x80
    length &= 0x7F
    for shift in range(7, _LENGTH_BITS, 7):
        if not goes_on.any():
            return length, at
        byte = buffer[at].astype(np.int64)
        length += np.where(goes_on, (byte & 0x7F) << shift, 0)
        at = at + goes_on
        goes_on &= byte >= 0x80
    return np.where(goes_on, -1, length), at


def _sort_in(
    buffer: Bytes, rows: Ints, key: Spans, value: Spans, found: Mapping[bytes, Spans]
) -> NDArray[np.bool_]:
    """Note the values of one entry of each message, and return whether the message is still plain.

    Most messages of a column have the same key in the same place.
    """
    is_plain, pending = np.ones(len(rows), np.bool_), np.arange(len(rows))
    lengths = key.stop - key.start
    for _ in range(len(found) + _OTHER_NAMES):
        if not pending.size:
            return is_plain
        length = int(lengths[pending[0]])
        is_same = lengths[pending] == length
        texts = slices(buffer, key.start[pending[is_same]], length)
        is_same[is_same] = (texts == texts[0]).all(axis=1)
        same, pending = pending[is_same], pending[~is_same]
        spans = found.get(texts[0].tobytes())
        if spans is not None:
            is_plain[same] = ~spans.is_there[rows[same]]
            spans[rows[same]] = value[same]
    is_plain[pending] = False
    return is_plain
