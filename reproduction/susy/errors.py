"""The one exception that SUSY's schema, loader and generator raise for what a user can mend."""


class SusyDataError(Exception):
    """SUSY rows could not be had, or are not what they must be.

    The text is one line for a person: what is wrong, where, and what to do.
    """

    def __init__(self, what: str, where: str, remedy: str) -> None:
        """`what` went wrong, `where` (file, address, line) and what to do about it."""
        super().__init__(" ".join(f"{where}: {what}; {remedy}".split()))
        self.what = what
        self.where = where
        self.remedy = remedy
