"""For how long a member of a group has waited for records in vain."""

from __future__ import annotations

import time

# How much of one wait counts. A process that stood still meanwhile, or its machine, has not
# listened: records may have come.
MOST_OF_A_WAIT_S = 1.0


class Silence:
    """Attributes:
    seconds: the time without a record.
    """

    def __init__(self) -> None:
        self.seconds: float = 0.0

    def waited(self, since_s: float) -> None:
        """Note a wait in vain since a time of the monotonic clock; a short one, by intention."""
        self.seconds += min(time.monotonic() - since_s, MOST_OF_A_WAIT_S)

    def end(self) -> None:
        """Note a record, or other partitions."""
        self.seconds = 0.0
