"""The report as Markdown for a pull request: claims, floors, faults and the machine.

The figures of each side, and the plots, are on the page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from functools import cache

from jinja2 import Environment

from reproduction import readers
from reproduction.pages import environment, printable
from reproduction.report import facts
from reproduction.report.contents import Contents
from reproduction.report.evidence import Sighting
from tfkafka.testing.claims import show, show_tolerance

# What makes a line one of code.
CODE = " " * 4
FAULT_HEADS = ("what", "faults", "proof", "lost", "duplicated", "verdict")

# Markdown's own characters, which a topic, a label or an error may hold; $ begins a formula.
_ESCAPED = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#&~$"})


class Markdown(str):
    """Text that is Markdown already; the template escapes all other texts."""


def markdown(contents: Contents) -> str:
    """The whole text."""
    sources = contents.sources
    measured = sources.benchmarks
    text = (
        _environment()
        .get_template("report.md")
        .render(
            contents=contents,
            facts=facts,
            measured=measured,
            claims=_claims(contents),
            bounds=[astuple(bound) for bound in facts.bounds(measured)] if measured else [],
            fault_heads=FAULT_HEADS,
            fault_rows=[
                [show(getattr(fault, name)) for name in FAULT_HEADS] for fault in sources.faults
            ],
            show=show,
            table=_table,
            sightings=lambda found: _sightings(found.judged, with_reader=True),
            asis=Markdown,
            code=lambda command: Markdown(textwrap.indent(command, CODE)),
        )
    )
    return printable(text)


@cache
def _environment() -> Environment:
    return environment(finalize=_plain)


def _claims(contents: Contents) -> Markdown:
    columns = contents.readers or [""]
    heads = ("step", "claim", "the tutorial", *contents.reader_heads, "tolerance")
    rows = [
        (
            found.claim.page,
            found.claim.text,
            show(found.claim.expected),
            *(_sightings(found.of(reader).sightings) for reader in columns),
            show_tolerance(found.claim),
        )
        for found in contents.claims
    ]
    return _table(heads, rows)


def _sightings(sightings: Iterable[Sighting], with_reader: bool = False) -> Markdown:
    return Markdown("; ".join(_sighting(sighting, with_reader) for sighting in sightings))


def _sighting(sighting: Sighting, with_reader: bool) -> str:
    verdict = sighting.verdict
    seen = "" if verdict.observed is None else show(verdict.observed)
    reader = readers.NAMES.get(sighting.reader, "") if with_reader else ""
    remark = ", ".join(filter(None, [reader, sighting.remark]))
    told = f" ({_plain(remark)})" if remark else ""
    return f"{_plain(seen)} **{verdict.status_in_words}**{told}".strip()


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    lines = [map(_plain, heads), ["---"] * len(heads), *(map(_plain, row) for row in rows)]
    return Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _plain(value: object) -> str:
    """As text and nothing else, on one line."""
    if isinstance(value, Markdown):
        return value
    return " ".join(str(value).translate(_ESCAPED).split())
