"""Matplotlib drawings as the text of an SVG that can stand in an HTML page beside others."""

import io
import re
from collections.abc import Callable

import matplotlib
from matplotlib.figure import Figure

from reproduction.pages import printable

matplotlib.rcParams.update({"font.size": 8, "svg.hashsalt": "susy", "svg.fonttype": "none"})

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def plain(text: str) -> str:
    """Return text for a label as it is: Matplotlib takes what is between $ for a formula."""
    return printable(text).replace("$", r"\$")


def svg(draw: Callable[[Figure], None], size: tuple[float, float], name: str) -> str:
    """What `draw` draws on a figure of `size` inches.

    Ids begin with `name`, so that several drawings can share a page; no address is left in it.
    """
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    text = buffer.getvalue()
    return _alone(text[text.index("<svg") :], name)


def _alone(text: str, name: str) -> str:
    """Unique ids; neither metadata nor the namespaces, which HTML knows by itself."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    return re.sub(r"url\(#", f"url(#{name}-", text)
