"""The report: what the tutorial claims and what was seen, as HTML, Markdown and JSON.

`write.py` writes it from `sources.py`; `python -m reproduction.report` is the command.
"""
