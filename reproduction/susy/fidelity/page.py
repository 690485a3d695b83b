"""The report as one HTML page that needs nothing else."""

from reproduction import pages
from reproduction.susy.fidelity.goals import Goal


def page(goals: list[Goal], facts: str, figures: list[tuple[str, str]]) -> str:
    """HTML text: the table of ``goals``, and ``figures`` as (caption, SVG)."""
    drawn = [pages.Figure(caption, [svg]) for caption, svg in figures]
    return pages.page("fidelity.html", goals=goals, facts=facts, figures=drawn)
