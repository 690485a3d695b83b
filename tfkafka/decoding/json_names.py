"""Names that may occur more than once in an object of JSON, found in whole chunks.

polars takes the first of them and says nothing. Nothing is decided here: records that are surely
right are separated from those that have to be read one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.nested_fields import Tree

_QUOTE, _COLON, _BACKSLASH, _SPACE = b'":\\ '
_WORD = 8
# Names of these characters can be written in other ways only with these escapes.
_PLAIN = re.compile(r"[ !#-.0-\[\]-~]*")
_ESCAPED_PLAIN, _ESCAPED = re.compile(rb"\\u00[2-7]"), re.compile(rb"\\")


@dataclass(frozen=True)
class Names:
    """The names that are read, of all objects of a record."""

    tree: Tree

    def suspects(
        self, text: bytes, ends: NDArray[np.int64], has_null: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Return the indices of records in which a name may occur more than once.

        Args:
            text: the records, valid JSON, with a line feed between two of them.
            ends: where these line feeds are.
            has_null: for each record, whether a field is missing or null.
        """
        count = len(ends) + 1
        buffer = np.frombuffer(text, np.uint8)
        # Each name is followed by a colon. Where no field is missing, and there are no more colons
        # than names are read, every name occurs once.
        colons = np.count_nonzero(buffer == _COLON)
        if colons == count * sum(self._counts.values()) and not has_null.any():
            return np.zeros(0, np.int64)
        is_suspect = self._occur_too_often(text, ends, has_null)
        if (buffer == _BACKSLASH).any():
            escapes = [found.start() for found in self._escape.finditer(text)]
            is_suspect[np.searchsorted(ends, escapes)] = True
        return np.flatnonzero(is_suspect)

    def _occur_too_often(
        self, text: bytes, ends: NDArray[np.int64], has_null: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return for each record whether one of the names occurs too often, also elsewhere."""
        count = len(ends) + 1
        # The bytes in front make a whole word of the first record's first name.
        buffer = np.frombuffer(b" " * _WORD + text, np.uint8)
        colons = np.flatnonzero(buffer == _COLON)
        before = buffer[colons - 1]
        is_suspect = np.zeros(count, np.bool_)
        # A blank between a name and its colon: seldom, and also within text.
        is_suspect[np.searchsorted(ends, colons[before <= _SPACE] - _WORD)] = True
        after_names = colons[before == _QUOTE]
        words = _words(buffer, after_names)
        are_alike = _are_alike(after_names - _WORD, words, ends)
        each = len(words) // count if are_alike else len(words)
        for name, allowed in self._counts.items():
            quoted = b'"%b"' % name.encode()
            # Where the records are alike, the first one speaks for all.
            found = _end_with(quoted, buffer, after_names[:each], words[:each])
            alike = _end_with(quoted[-_WORD:], buffer, after_names[:each], words[:each])
            is_for_all = are_alike and len(found) == len(alike)
            if are_alike and not is_for_all:
                # Another name ends like this one: there, others may have this one again.
                found = _end_with(quoted, buffer, after_names, words)
            times = np.bincount(np.searchsorted(ends, after_names[found] - _WORD), minlength=count)
            if is_for_all:
                times[:] = times[0]
            is_suspect |= times > (np.where(has_null, 1, allowed) if allowed > 1 else 1)
        return is_suspect

    @cached_property
    def _counts(self) -> Counter[str]:
        """How many objects have each name."""
        return Counter(_names(self.tree))

    @cached_property
    def _escape(self) -> re.Pattern[bytes]:
        """What a name may be written with otherwise."""
        is_plain = all(_PLAIN.fullmatch(name) for name in self._counts)
        return _ESCAPED_PLAIN if is_plain else _ESCAPED


def _names(tree: Tree) -> Iterator[str]:
    for name, below in tree.items():
        yield name
        if not isinstance(below, int):
            yield from _names(below)


def _words(buffer: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the 8 bytes before each of these places; the first of them is the lowest."""
    count = len(buffer) - _WORD + 1
    strided: NDArray[np.uint64] = np.ndarray((count,), "<u8", buffer, strides=(1,))
    words: NDArray[np.uint64] = strided[ends - _WORD]
    return words


def _are_alike(
    places: NDArray[np.int64], words: NDArray[np.uint64], ends: NDArray[np.int64]
) -> bool:
    """Return whether all records have the same names in the same order, by their last bytes."""
    each, rest = divmod(len(places), len(ends) + 1)
    if rest or not each:
        return False
    # The first place of each record but the first is after a line's end, the last before one.
    are_apart = (places[each::each] > ends).all() and (places[each - 1 : -1 : each] < ends).all()
    if not are_apart:
        return False
    # What is before the opening quote of a short name is no part of it.
    firsts = [int(word).to_bytes(_WORD, "little") for word in words[:each]]
    shifts = np.array([8 * max(0, first.rfind(b'"', 0, -1)) for first in firsts], np.uint64)
    return bool((words.reshape(-1, each) >> shifts == words[:each] >> shifts).all())


def _end_with(
    name: bytes,
    buffer: NDArray[np.uint8],
    ends: NDArray[np.int64],
    words: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Return the indices of those places before which a name stands."""
    last = name[-_WORD:]
    shift = np.uint64(8 * (_WORD - len(last)))
    wanted = np.uint64(int.from_bytes(last, "little"))
    found = np.flatnonzero(words >> shift == wanted)
    if len(name) <= _WORD:
        return found
    # A place too near to the beginning has other bytes before it than a name.
    found = found[ends[found] >= 2 * _WORD]
    rest = ends[found] - _WORD
    return found[_end_with(name[:-_WORD], buffer, rest, _words(buffer, rest))]
