"""What can go wrong with a report."""


class ReportError(Exception):
    """A file that a report is made of cannot be used, or the report cannot be written."""
