"""Draw the README's picture from the tables of docs/benchmarks.md and docs/delivery-guarantees.md.

python tools/results_picture.py     # writes docs/images/results.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reproduction.drawing import MAIN, svg_file
from reproduction.files import write_whole
from reproduction.report.benchmarks import ALTERNATIVE, CEILING, SUBJECT

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
GUARANTEES = ROOT / "docs" / "delivery-guarantees.md"
PICTURE = ROOT / "docs" / "images" / "results.svg"
EPOCH_RECORDS = 60_000
STYLES = {
    SUBJECT: {"facecolor": MAIN, "edgecolor": "black"},
    CEILING: {"facecolor": "white", "edgecolor": "black"},
    ALTERNATIVE: {"facecolor": "#cfcfcf", "edgecolor": "black"},
}


def table_rows(document: Path) -> list[list[str]]:
    """Return the cells of each table row of a Markdown document."""
    lines = document.read_text().splitlines()
    return [[c.strip() for c in line[1:-1].split("|")] for line in lines if line.startswith("|")]


def numbers(cell: str) -> list[float]:
    """Return the numbers of a cell such as `18,500 / 35,200`."""
    return [float(number.replace(",", "")) for number in cell.split("/")]


def epoch_seconds() -> dict[str, tuple[float, str]]:
    """Return the seconds of an epoch by reader, each with the style of its bar.

    The table has the rates of tfkafka, and ratios of its rates to those of the others.
    """
    rows = table_rows(BENCHMARKS)
    (first,) = (
        number for number, row in enumerate(rows) if row[0] == f"epoch of {EPOCH_RECORDS:,}"
    )
    own, tfio = rows[first], rows[first + 1]
    own_s, tfio_s = EPOCH_RECORDS / numbers(own[2])[0], EPOCH_RECORDS / numbers(tfio[2])[0]
    to_memory, (to_default, to_quick) = numbers(own[5])[0], numbers(tfio[5])
    return {
        "tensorflow-io, as in the tutorial": (tfio_s * to_default, ALTERNATIVE),
        "tensorflow-io, fetch.wait.max.ms=5": (tfio_s * to_quick, ALTERNATIVE),
        "tfkafka.tfio: only the import changed": (tfio_s, SUBJECT),
        "tfkafka.KafkaDataset": (own_s, SUBJECT),
        "the same records from memory": (own_s * to_memory, CEILING),
    }


def lost_records() -> dict[str, tuple[int, int, str]]:
    """Return lost records, and all records, by reader, each with the style of its bar."""
    found = {(row[0], row[1]): row for row in table_rows(GUARANTEES) if len(row) == 6}
    tfio = found["tensorflow-io", "once, after an automatic commit"]
    own = found["`tfkafka.exactly_once`", "100 times"]
    counts = [[int(cell.replace(",", "")) for cell in row[2:4]] for row in (tfio, own)]
    (tfio_all, tfio_lost), (own_all, own_lost) = counts
    return {
        "tensorflow-io, killed once": (tfio_lost, tfio_all, ALTERNATIVE),
        "tfkafka.exactly_once, killed 100 times": (own_lost, own_all, SUBJECT),
    }


def draw(figure: Figure) -> None:
    """Draw both panels."""
    seconds, lost = figure.subplots(2, 1, height_ratios=(5, 2.6))
    epoch = epoch_seconds()
    _bars(
        seconds,
        "Seconds for a training epoch of 60,000 records (less is better)",
        {label: (value, f"{value:.1f} s", style) for label, (value, style) in epoch.items()},
        max(value for value, _ in epoch.values()),
    )
    _bars(
        lost,
        "Records that no model has seen after kill -9 of the reader",
        {
            label: (count / all_records, f"{count:,} of {all_records:,}", style)
            for label, (count, all_records, style) in lost_records().items()
        },
        1.0,
    )


def _bars(axis: Axes, title: str, bars: dict[str, tuple[float, str, str]], longest: float) -> None:
    for place, (value, text, style) in enumerate(bars.values()):
        axis.barh(place, value, 0.7, **STYLES[style])
        axis.annotate(text, (value, place), (4, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(bars)), list(bars))
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontweight="bold", fontsize=9)
    axis.set_xlim(0, longest * 1.2)
    axis.set_xticks([])
    axis.spines[["top", "right", "bottom"]].set_visible(False)


def picture() -> str:
    """Return the picture as a file."""
    return svg_file(draw, (7.5, 3.2), "results")


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    write_whole(PICTURE, picture())
    print(PICTURE)
