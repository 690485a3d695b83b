"""The report as Markdown for a pull request: claims, floors, faults and the machine.

The figures of each side, and the plots, are on the page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from reproduction.claims import FAILS, KNOWN_FALSE, show, show_tolerance
from reproduction.pages import printable
from reproduction.report import evidence, facts
from reproduction.report.evidence import Evidence, Sighting
from reproduction.report.sources import Sources

# What makes a line one of code.
CODE = " " * 4

# Markdown's own characters, which a topic, a label or an error may hold; $ begins a formula.
_ESCAPED = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#&~$"})


def markdown(claims: list[Evidence], sources: Sources, written: str) -> str:
    """The whole text."""
    parts = [
        "# The tutorial, checked",
        f"{_plain(evidence.summary(claims))}. Written {_plain(written)}.",
        *_not_so(claims),
        "## Claims",
        _table(("step", "claim", "the tutorial", "seen here", "tolerance"), map(_row, claims)),
        "## Which records made the models",
        *_records(sources),
        "## Throughput",
        *_throughput(sources),
        "## Delivery under faults",
        _faults(sources),
        "## The machine",
        f"Again, as it was run:\n\n{textwrap.indent(facts.command(sources), CODE)}",
        _machine(sources),
    ]
    return printable("\n\n".join(parts)) + "\n"


def _not_so(claims: list[Evidence]) -> list[str]:
    lines = [
        f"- **Step {e.claim.step}: {_plain(e.claim.text)}**: the tutorial says "
        f"{_plain(show(e.claim.tutorial))}; seen: {_sightings(e.sightings)}. "
        + _plain(" ".join(dict.fromkeys(s.verdict.why for s in e.sightings if s.verdict.why)))
        + (f" Shown by `{e.claim.test}`." if e.claim.test else "")
        for e in claims
        if e.status in (FAILS, KNOWN_FALSE)
    ]
    return ["## Not so", "\n".join(lines)] if lines else []


def _row(found: Evidence) -> Sequence[str]:
    claim = found.claim
    cells = (claim.step, claim.text, show(claim.tutorial))
    tolerance = _plain(show_tolerance(claim))
    return (*(_plain(str(c)) for c in cells), _sightings(found.sightings), tolerance)


def _sightings(sightings: Iterable[Sighting]) -> str:
    return "; ".join(map(_sighting, sightings))


def _sighting(sighting: Sighting) -> str:
    verdict = sighting.verdict
    seen = "" if verdict.observed is None else f" {show(verdict.observed)}"
    return f"{_plain(seen)} **{verdict.status_in_words}** ({_plain(sighting.remark)})".strip()


def _records(sources: Sources) -> list[str]:
    rows = [[_plain(cell) for cell in row] for row in facts.records_rows(sources.manifests)]
    if not rows:
        return [facts.NOT_RUN["records"]]
    return [_plain(facts.RECORDS_AGAIN), _table(facts.RECORDS_HEADS, rows)]


def _throughput(sources: Sources) -> list[str]:
    found = sources.benchmarks
    if found is None or not facts.is_measured(found):
        return [facts.NOT_RUN["benchmarks"]]
    rows = [[_plain(cell) for cell in asdict(bound).values()] for bound in facts.bounds(found)]
    heads = ("step", "what", "median", "rounds", "must be", "goal", "verdict")
    return [f"{facts.bounds_summary(found)}.", _table(heads, rows)]


def _faults(sources: Sources) -> str:
    if not sources.faults:
        return facts.NOT_RUN["faults"]
    names = ("what", "faults", "proof", "lost", "duplicated", "verdict")
    rows = [[_plain(show(getattr(fault, name))) for name in names] for fault in sources.faults]
    return _table(names, rows)


def _machine(sources: Sources) -> str:
    rows = [
        *facts.run_facts(sources.observations),
        *facts.machine_facts(sources.observations),
        *facts.test_facts(sources.tests),
        *facts.benchmark_facts(sources.benchmarks),
    ]
    if not rows:
        return facts.NOT_RUN["tutorial"]
    return _table(("fact", "value"), [(_plain(name), _plain(value)) for name, value in rows])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """As text and nothing else, on one line."""
    return " ".join(text.translate(_ESCAPED).split())
