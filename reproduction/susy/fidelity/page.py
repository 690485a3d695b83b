"""The report as one HTML page that needs nothing else."""

from html import escape

from reproduction.susy.fidelity.goals import Goal

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
td.met { color: #0a6b2d } td.missed { color: #b00020; font-weight: bold }
figure { margin: 1.5rem 0 } svg { width: 100%; height: auto } figcaption { color: #444 }
"""


def page(goals: list[Goal], facts: str, figures: list[tuple[str, str]]) -> str:
    """HTML text: the table of ``goals``, and ``figures`` as (caption, SVG)."""
    rows = "\n".join(_row(goal) for goal in goals)
    drawn = "\n".join(
        f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>"
        for caption, svg in figures
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Synthetic SUSY rows: fidelity</title>
<style>{STYLE}</style></head><body>
<h1>How near synthetic SUSY rows come to real ones</h1>
<p>{escape(facts)}</p>
<table><tr><th>measure</th><th>measured</th><th>goal</th><th></th></tr>
{rows}
</table>
{drawn}
</body></html>
"""


def _row(goal: Goal) -> str:
    mark, verdict = ("met", "met") if goal.met else ("missed", "missed")
    return (
        f"<tr><td>{escape(goal.name)}</td><td class=number>{goal.value:.{goal.digits}f}</td>"
        f"<td>{escape(goal.bounds)}</td><td class={mark}>{verdict}</td></tr>"
    )
