"""Parsing of JSON by the native library, from a column's buffer into the arrays of the caller."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.native_classes import TYPES, Classes, pointers
from tfkafka.decoding.nested_fields import NestedField, Tree
from tfkafka.decoding.parsing_threads import in_parts


class _Field(ctypes.Structure):
    """TkJsonField of tfkafka_native.h."""

    _fields_ = (
        ("out", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("dimensions", ctypes.c_int64),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("classes", ctypes.POINTER(Classes)),
        ("fill", ctypes.c_double),
        ("least", ctypes.c_int64),
        ("most", ctypes.c_int64),
        ("is_whole", ctypes.c_int32),
        ("type", ctypes.c_int32),
        ("may_miss", ctypes.c_int32),
    )


class _Name(ctypes.Structure):
    """TkJsonName."""

    _fields_ = (
        ("text", ctypes.c_char_p),
        ("length", ctypes.c_int64),
        ("field", ctypes.c_int64),
        ("object", ctypes.c_int64),
    )


class _Json(ctypes.Structure):
    """TkJson."""

    _fields_ = (
        ("field_count", ctypes.c_int64),
        ("name_count", ctypes.c_int64),
        ("object_count", ctypes.c_int64),
        ("fields", ctypes.POINTER(_Field)),
        ("names", ctypes.POINTER(_Name)),
        ("objects", ctypes.POINTER(Classes)),
        ("finite", ctypes.c_int32),
    )
    # What its pointers are to.
    kept: object


@dataclass(frozen=True)
class NativeJson:
    """A `Parser` of values, which makes no bytes objects of them.

    Args:
        library: the native library.
        fields: what is read.
        tree: their names.
        finite: whether a number must be finite.
    """

    library: ctypes.CDLL
    fields: Sequence[NestedField]
    tree: Tree
    finite: bool

    def read(
        self, rows: Column, sinks: Sequence[NDArray[Any]], seen: set[str]
    ) -> NDArray[np.int64]:
        """See `Parser.read`."""
        fields = [_field(*each) for each in zip(self.fields, sinks, strict=True)]
        names, objects = _named(self.tree)
        # A view, so that a buffer that has to be made is not kept with the chunk.
        rows = rows[:]
        json = _Json(
            len(fields),
            len(names),
            len(objects),
            (_Field * len(fields))(*fields),
            (_Name * len(names))(*names),
            (Classes * len(objects))(*objects),
            self.finite,
        )
        json.kept = rows, sinks, objects
        text, marks = pointers(rows), np.empty(len(rows), np.uint8)
        is_seen = np.zeros(len(names), np.uint8)

        def parse(start: int, stop: int) -> None:
            # In another thread it may outlive this call, which Ctrl-C ends: it has the arrays.
            in_part = np.zeros(len(names), np.uint8)
            scratch = np.empty(2 * len(names) + len(objects), np.int64)
            arrays = [array.ctypes.data for array in (marks, in_part, scratch)]
            self.library.tk_parse_json(ctypes.byref(json), *text, start, stop, *arrays)
            np.maximum(is_seen, in_part, out=is_seen)

        in_parts(len(rows), parse)
        found = [names[index].field for index in np.flatnonzero(is_seen).tolist()]
        seen.update(self.fields[field].title for field in found if field >= 0)
        return np.flatnonzero(marks)


def _named(tree: Tree) -> tuple[list[_Name], list[Classes]]:
    """Return the names of all objects, and the objects, as the indices of their names."""
    names: list[_Name] = []
    objects = []
    trees = [tree]
    # It grows by the objects that are found in it.
    for names_below in trees:
        index_of = {}
        for name, below in names_below.items():
            # No text is UTF-8 that has such a name unless it has an escape.
            text = name.encode(errors="surrogatepass")
            index_of[text] = len(names)
            if isinstance(below, int):
                names.append(_Name(text, len(text), below, -1))
            else:
                names.append(_Name(text, len(text), -1, len(trees)))
                trees.append(below)
        objects.append(Classes(index_of))
    return names, objects


def _field(field: NestedField, sink: NDArray[Any]) -> _Field:
    """Return the structure of a field whose values are written to an array [n, size]."""
    shape = field.spec.shape
    is_whole = field.dtype.kind == "i"
    limits = np.iinfo(field.dtype if is_whole else np.int64)
    return _Field(
        out=sink.ctypes.data,
        stride=sink.strides[0],
        size=int(np.prod(shape)),
        dimensions=len(shape),
        shape=(ctypes.c_int64 * len(shape))(*shape),
        classes=None if field.index_of is None else _classes(field.index_of),
        fill=0 if field.fill is None else field.fill,
        least=limits.min,
        most=limits.max,
        is_whole=is_whole,
        type=TYPES[field.into.name],
        may_miss=field.fill is not None,
    )


def _classes(index_of: Mapping[str, int]) -> ctypes._Pointer[Classes]:
    by_text = {name.encode(errors="surrogatepass"): index for name, index in index_of.items()}
    return ctypes.pointer(Classes(by_text))
