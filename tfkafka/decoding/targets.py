"""Labels and sample weights: what all decoders have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Fault
from tfkafka.decoding.numbers import parse_numbers
from tfkafka.decoding.sources import Header, Key, Source

KEY = "key"
# "key" is Key().
Given = Literal["key"] | Source | None


def check_source(
    name: str, given: object, inside: tuple[type, ...] = (), example: str = ""
) -> None:
    """Check the source of a label or of a weight.

    Args:
        name: the decoder's name and the argument's, for errors.
        given: `"key"`, a source, or None.
        inside: the classes of sources that the decoder finds in the value.
        example: a source of these classes, for errors.
    """
    kinds = f'"key", Key(), Header(name){example and ", " + example}, or None'
    if isinstance(given, str):
        arguments.choice(name, given, (KEY,), kinds)
    elif given is not None:
        arguments.instance(name, given, (Key, Header, *inside), kinds)


def targets_of(label: Given, sample_weight: Given) -> dict[str, Source]:
    """Return the sources of the label and of the sample weight, where there are any."""
    found = {"label": label, "sample_weight": sample_weight}
    return {
        what: Key() if isinstance(given, str) else given
        for what, given in found.items()
        if given is not None
    }


def refuse_weight_alone(decoder: str, label: Given, sample_weight: Given) -> None:
    """Raise ValueError where there is a sample weight and no label: Keras has no place for it."""
    if sample_weight is not None and label is None:
        raise ValueError(f"{decoder}: sample_weight is given and label is not: give label= too")


def outside(
    chunk: Chunk, what: str, source: Source, finite: bool | None
) -> tuple[NDArray[Any], dict[int, Fault]]:
    """Return what the records have in their keys or headers, [n], and the faults.

    Args:
        what: "label" or "sample_weight", for reasons.
        source: a `Key` or a `Header`.
        finite: whether a number that is not finite is a fault.
    """
    if not isinstance(source, Header):
        return parse_texts(chunk.keys.entries, what, source, finite)
    found, missing = _headers(chunk, source.name)
    array, faults = parse_texts(found, what, source, finite)
    kind = f"{what}: has no header {source.name!r}"
    return array, faults | {index: Fault.of(index, kind) for index in missing}


def parse_texts(
    texts: NDArray[np.object_], what: str, source: Source, finite: bool | None
) -> tuple[NDArray[Any], dict[int, Fault]]:
    """Return the numbers or the indices of classes that texts name, [n], and the faults."""
    dtype = source.spec.dtype
    if source.classes is not None:
        return _classes(texts, what, source.index_of, dtype)
    return parse_numbers(texts, dtype, what, finite)


def _classes(
    texts: NDArray[np.object_], what: str, index_of: Mapping[bytes, int], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], dict[int, Fault]]:
    found = [index_of.get(text, -1) for text in texts]
    wrong = {index: texts[index] for index, number in enumerate(found) if number < 0}
    faults = {
        index: Fault.of(index, f"{what}: is none of the classes", text)
        if text
        else Fault.of(index, f"{what}: is {'null' if text is None else 'empty'}")
        for index, text in wrong.items()
    }
    return np.array(found, dtype), faults


def _headers(chunk: Chunk, name: str) -> tuple[NDArray[np.object_], list[int]]:
    """Return the value of a header of each record, and the indices of records without it."""
    _, headers = chunk.metadata
    values, missing = np.empty(len(chunk), object), []
    for index, each in enumerate(headers):
        having = [value for other, value in each if other == name]
        if having:
            values[index] = having[-1]
        else:
            missing.append(index)
    return values, missing
