"""For how long somebody has listened in vain."""

from __future__ import annotations

# How much of one wait counts. A process that stood still meanwhile, or its machine, has not
# listened: there may be an answer, or records, that it has not seen yet.
MOST_OF_A_WAIT_S = 1.0


class Silence:
    """The sum of waits in vain, since something was heard.

    Attributes:
        seconds: the sum.
    """

    def __init__(self) -> None:
        self.seconds: float = 0.0

    def waited(self, seconds: float, most: float = MOST_OF_A_WAIT_S) -> None:
        """Note a wait in vain, which should have taken `most` seconds at most."""
        self.seconds += min(seconds, most)

    def end(self) -> None:
        """Note that something was heard."""
        self.seconds = 0.0
