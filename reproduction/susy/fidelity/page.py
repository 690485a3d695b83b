"""The report as one HTML page that needs nothing else."""

from html import escape

from reproduction import pages
from reproduction.susy.fidelity.goals import Goal


def page(goals: list[Goal], facts: str, figures: list[tuple[str, str]]) -> str:
    """HTML text: the table of ``goals``, and ``figures`` as (caption, SVG)."""
    drawn = "\n".join(pages.figure(svg, caption) for caption, svg in figures)
    goals_table = pages.table(("measure", "measured", "goal", "verdict"), map(_row, goals))
    return pages.document(
        "Synthetic SUSY rows: fidelity",
        f"<h1>How near synthetic SUSY rows come to real ones</h1>\n<p>{escape(facts)}</p>\n"
        f"{goals_table}\n{drawn}",
    )


def _row(goal: Goal) -> tuple[str, ...]:
    verdict = pages.marked("met", "good") if goal.met else pages.marked("missed", "bad")
    measured = pages.number(f"{goal.value:.{goal.digits}f}")
    return pages.text(goal.name), measured, pages.text(goal.bounds), verdict
