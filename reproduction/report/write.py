"""Write the report in its three forms."""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reproduction.claims import WIDTH
from reproduction.files import write_whole
from reproduction.report import evidence, history
from reproduction.report.contents import Contents, contents_of
from reproduction.report.errors import ReportError
from reproduction.report.evidence import Evidence
from reproduction.report.links import find_links
from reproduction.report.markdown import markdown
from reproduction.report.page import page
from reproduction.report.sources import Sources, read_sources


def write_report(artifacts: Path, reports: Path) -> str:
    """Write index.html, report.md and report.json into `reports`; returns what to tell the user.

    Adds the runs to history.jsonl; where that is damaged, the report says so. Raises ReportError
    where a source is damaged or a file cannot be written.
    """
    sources = read_sources(artifacts, reports)
    html = reports / "index.html"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        contents = _contents(sources, reports / "history.jsonl")
        write_whole(html, page(contents, find_links(reports)))
        write_whole(reports / "report.md", markdown(contents))
        write_whole(reports / "report.json", as_json(contents))
    except OSError as error:
        raise ReportError(f"{error.filename}: {error.strerror}") from error
    fault = f"\n{contents.history_fault}" if contents.history_fault else ""
    return (
        f"{textwrap.fill(evidence.summary(contents.claims) + '.', WIDTH)}{fault}\n"
        f"The report: {html.resolve()} (beside it report.md and report.json)"
    )


def as_json(contents: Contents) -> str:
    """All that the other forms show, for machines."""
    data = {
        "written": contents.written,
        "headline": contents.headline,
        "counts": evidence.count(contents.claims),
        "claims": [_claim(found) for found in contents.claims],
        **asdict(contents.sources),
        "history": [asdict(result) for result in contents.history],
    }
    return json.dumps(data, indent=1) + "\n"


def _contents(sources: Sources, path: Path) -> Contents:
    written = time.strftime("%Y-%m-%d %H:%M:%S %z")
    try:
        return contents_of(sources, written, history.remember(path, sources))
    except ReportError as error:
        return contents_of(sources, written, history_fault=str(error))


def _claim(found: Evidence) -> dict[str, Any]:
    return {
        **asdict(found.claim),
        "status": found.status,
        "sightings": [
            {
                "where": sighting.where,
                "reader": sighting.reader,
                "tests": sighting.tests,
                "observed": sighting.verdict.observed,
                "status": sighting.verdict.status,
                "why": sighting.verdict.why,
            }
            for sighting in found.sightings
        ],
    }
