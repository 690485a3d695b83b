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
from reproduction.report import evidence
from reproduction.report.errors import ReportError
from reproduction.report.evidence import Evidence
from reproduction.report.markdown import markdown
from reproduction.report.page import page
from reproduction.report.sources import Sources, read_sources


def write_report(artifacts: Path, reports: Path) -> str:
    """Write index.html, report.md and report.json into `reports`; returns what to tell the user.

    Raises ReportError where a source is damaged or a file cannot be written.
    """
    sources = read_sources(artifacts, reports)
    claims = evidence.gather(sources.observations, sources.tests)
    written = time.strftime("%Y-%m-%d %H:%M:%S %z")
    html = reports / "index.html"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        write_whole(html, page(claims, sources, written))
        write_whole(reports / "report.md", markdown(claims, sources, written))
        write_whole(reports / "report.json", as_json(claims, sources, written))
    except OSError as error:
        raise ReportError(f"{error.filename}: {error.strerror}") from error
    return (
        f"{textwrap.fill(evidence.summary(claims) + '.', WIDTH)}\n"
        f"The report: {html.resolve()} (beside it report.md and report.json)"
    )


def as_json(claims: list[Evidence], sources: Sources, written: str) -> str:
    """All that the other forms show, for machines."""
    data = {
        "written": written,
        "counts": evidence.count(claims),
        "claims": [_claim(found) for found in claims],
        **asdict(sources),
    }
    return json.dumps(data, indent=1) + "\n"


def _claim(found: Evidence) -> dict[str, Any]:
    return {
        **asdict(found.claim),
        "status": found.status,
        "sightings": [
            {
                "where": sighting.where,
                "observed": sighting.verdict.observed,
                "status": sighting.verdict.status,
                "why": sighting.verdict.why,
            }
            for sighting in found.sightings
        ],
    }
