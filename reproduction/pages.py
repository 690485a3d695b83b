"""HTML pages that need nothing from elsewhere, from the templates beside this module.

All that a template is given is escaped, except for drawings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).with_name("templates")

# Control characters other than tab and line ends, lone surrogates (which a path has for bytes that
# are not text), and what turns the direction of the text that follows.
_UNPRINTABLE = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True)
class Figure:
    """Drawings, as SVG, with the caption that they share and that stands for them."""

    caption: str
    drawings: Sequence[str]


def printable(text: str) -> str:
    """Return the text with an escape, such as \\x1b, for each character that cannot be shown."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def page(template: str, **values: Any) -> str:
    """Return a page of `templates`, made with `values`."""
    return printable(_html().get_template(template).render(values))


def environment(**options: Any) -> Environment:
    """Return what makes texts from the templates. A value that is not given is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


@cache
def _html() -> Environment:
    return environment(autoescape=True)
