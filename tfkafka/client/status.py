"""Which parts of tfkafka are native here."""

from __future__ import annotations

from dataclasses import dataclass

import confluent_kafka
from confluent_kafka import cimpl

from tfkafka import native


@dataclass(frozen=True)
class NativeStatus:
    """What `native_status` returns.

    Attributes:
        filler: whether records go natively from librdkafka into columns, and from columns to it.
        parser: whether CSV is parsed natively.
        filler_reason: why the filler is not native; "" if it is.
        parser_reason: why the parser is not native; "" if it is.
        library: the path of the native library; None where it is not loaded.
        librdkafka: the version of librdkafka.

    Example:
        assert tfkafka.native_status().librdkafka >= "2.13"
    """

    filler: bool
    parser: bool
    filler_reason: str
    parser_reason: str
    library: str | None
    librdkafka: str

    def __str__(self) -> str:
        parts = [
            _part("reading and writing", self.filler_reason),
            _part("parsing", self.parser_reason),
        ]
        if self.filler_reason == self.parser_reason:
            parts = [_part("reading, writing and parsing", self.filler_reason)]
        library = f"library {self.library}" if self.library else "no native library"
        return f"{'; '.join(parts)}\nlibrdkafka {self.librdkafka}, {library}"


def native_status() -> NativeStatus:
    """Return which parts of tfkafka are native in this process, and why others are not.

    The native library is optional: Python does the same, more slowly. TFKAFKA_NATIVE=0 in the
    environment turns it off.

    Example:
        print(tfkafka.native_status())
    """
    filler, parser = native.why_not_for_clients(cimpl.__file__), native.why_not()
    return NativeStatus(
        filler=not filler,
        parser=not parser,
        filler_reason=filler,
        parser_reason=parser,
        library=None if parser else str(native.PATH),
        librdkafka=confluent_kafka.libversion()[0],
    )


def _part(what: str, reason: str) -> str:
    return f"{what}: Python ({reason})" if reason else f"{what}: native"
