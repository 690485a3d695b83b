"""Matplotlib drawings as the text of an SVG that can stand in an HTML page beside others."""

import io
import re
from collections.abc import Callable

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from reproduction.pages import printable

matplotlib.rcParams.update({"font.size": 8, "svg.hashsalt": "susy", "svg.fonttype": "none"})

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
MAIN, SECOND, THIRD, GRID = "#12426b", "#b84e14", "#6b6b6b", "#dddddd"
# Colours of drawings, and the variables of templates/style.css that stand for them on a page, which
# is light or dark.
THEME = {
    "#000000": "ink",
    "#ffffff": "paper",
    MAIN: "main",
    SECOND: "second",
    THIRD: "third",
    GRID: "grid",
    # Matplotlib's own: frames of legends, tab:blue, tab:orange, tab:green, tab:red, lightgrey.
    "#cccccc": "grid",
    "#1f77b4": "main",
    "#ff7f0e": "second",
    "#2ca02c": "good",
    "#d62728": "bad",
    "#d3d3d3": "third",
}
_TIP = "tip "


def plain(text: str) -> str:
    """Return text for a label as it is: Matplotlib takes what is between $ for a formula."""
    return printable(text).replace("$", r"\$")


def tip(artist: Artist, text: str) -> None:
    """Let the page show `text` where somebody points at the artist."""
    artist.set_gid(_TIP + text)


def svg(draw: Callable[[Figure], None], size: tuple[float, float], name: str) -> str:
    """Return what `draw` draws on a figure of `size` inches, in the colours of the page.

    Ids begin with `name`, so that several drawings can share a page; no address is left in it. The
    tab key finds the first of the artists with a `tip`; templates/tips.js goes on from there.
    """
    mark = r'<g class="tip" role="img" tabindex="-1"><title>\1</title>'
    text = re.sub(f'<g id="{_TIP}([^"]*)">', mark, _drawn(draw, size))
    text = text.replace('tabindex="-1"', 'tabindex="0"', 1)
    for colour, variable in THEME.items():
        text = text.replace(colour, f"var(--{variable})")
    return _alone(text, name)


def svg_file(draw: Callable[[Figure], None], size: tuple[float, float], name: str) -> str:
    """Return a drawing as a file of its own: outside of HTML, SVG needs its namespace."""
    text = _alone(_drawn(draw, size), name)
    return text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def _drawn(draw: Callable[[Figure], None], size: tuple[float, float]) -> str:
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _alone(text: str, name: str) -> str:
    """Unique ids; neither metadata nor the namespaces, which HTML knows by itself."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    return re.sub(r"url\(#", f"url(#{name}-", text)
