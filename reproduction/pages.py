"""HTML pages that need nothing from elsewhere: one style, tables, figures; all text is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  max-width: 64rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.7rem; line-height: 1.2 } h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem;
  border-bottom: 2px solid #1b1b1b } h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem }
h4 { font-size: .95rem; margin: 1rem 0 0 }
a { color: #12426b } nav a { margin-right: 1rem; white-space: nowrap }
.wide { overflow-x: auto }
table { border-collapse: collapse; margin: .75rem 0; font-size: .9rem }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top }
th { border-bottom: 1px solid #1b1b1b }
.number { text-align: right; font-variant-numeric: tabular-nums }
.good { color: #0a6b2d } .bad { color: #a8001c; font-weight: bold } .quiet { color: #5a5a5a }
.verdict { white-space: nowrap; font-weight: 600 }
figure { margin: 1rem 0; overflow-x: auto }
figure svg { width: 100%; min-width: 34rem; height: auto }
figcaption { color: #333 }
code { font-size: .9em; overflow-wrap: anywhere }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem;
  padding: 0; list-style: none }
.facts li { border: 1px solid #bbb; border-radius: .4rem; padding: .6rem .8rem }
.facts strong { display: block; font-size: 1.25rem }
.box { border-left: .3rem solid #a8001c; padding: .1rem 0 .1rem 1rem; margin: 1rem 0 }
.box p { margin: .3rem 0 }
@media (max-width: 44rem) {
  .cards thead { display: none }
  .cards tr { display: block; border-bottom: 1px solid #1b1b1b; padding: .5rem 0 }
  .cards td { display: block; border: 0; padding: .1rem 0; text-align: left }
  .cards td[data-label]::before { content: attr(data-label) ": "; color: #5a5a5a }
}
@media print {
  body { font-size: 10pt; max-width: none; padding: 0 } nav { display: none }
  figure, tr, .box { break-inside: avoid } h2, h3 { break-after: avoid }
  figure svg { min-width: 0 } .wide, figure { overflow: visible }
}
"""


# Control characters other than tab and line ends, lone surrogates (which a path has for bytes that
# are not text), and what turns the direction of the text that follows.
_UNPRINTABLE = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """Return the text with an escape, such as \\x1b, for each character that cannot be shown."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def document(title: str, body: str) -> str:
    """A page around `body`, which is HTML."""
    return printable(f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
</body>
</html>
""")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Of cells that are HTML, such as `text`, `number` and `marked` make."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "\n".join(
        "<tr>"
        + "".join(_labelled(cell, name) for cell, name in zip(row, heads, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def text(value: object) -> str:
    """A table's cell."""
    return f"<td>{escape(str(value))}</td>"


def number(value: object) -> str:
    """A table's cell, to the right."""
    return f'<td class="number">{escape(str(value))}</td>'


def marked(value: str, kind: str) -> str:
    """A table's cell that stands out: `kind` is good, bad or quiet."""
    return f'<td class="verdict {kind}">{escape(value)}</td>'


def figure(svg: str, caption: str) -> str:
    """An SVG with its caption, which also stands for it where it cannot be seen."""
    labelled = svg.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
    return f"<figure><figcaption>{escape(caption)}</figcaption>\n{labelled}</figure>"


def _labelled(cell: str, head: str) -> str:
    """With the column's name, which a narrow screen shows in front."""
    return cell.replace("<td", f'<td data-label="{escape(head)}"', 1) if head else cell
