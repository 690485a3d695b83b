"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import re
import textwrap

import tfkafka

project = "tfkafka"
release = tfkafka.__version__
html_title = f"tfkafka {release}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
# Blocks that name no language are commands, and their output.
highlight_language = "none"
# The names that GitHub gives to headings.
myst_heading_anchors = 4

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
# `KafkaDataset` in a docstring leads to its entry; other code stays code.
default_role = "py:obj"
# Dashes alone: the quotes in docstrings are Python's.
smartquotes_action = "D"
# Fields that a docstring describes are part of their class.
napoleon_use_ivar = True

_EXAMPLE = re.compile(r"^Example:\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)


def _as_code(found: re.Match[str]) -> str:
    code = textwrap.indent(textwrap.dedent(found[1]).strip(), "    ")
    return f".. rubric:: Example\n\n.. code-block:: python\n\n{code}\n\n"


def _mark_examples(app, what, name, of, options, lines: list[str]) -> None:
    """Make blocks of code of a docstring's examples, which are plain text to Sphinx."""
    lines[:] = _EXAMPLE.sub(_as_code, "\n".join([*lines, ""])).split("\n")


def setup(app) -> None:
    # Before napoleon, which takes an example for prose.
    app.connect("autodoc-process-docstring", _mark_examples, priority=400)
