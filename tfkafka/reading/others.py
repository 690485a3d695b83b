"""Whether a member without partitions gets none, since the other members have them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from tfkafka._util.background import in_background
from tfkafka._util.silence import Silence

_ASK_EVERY_S = 0.5


class Others:
    """The other members of a group. A cooperative one first has nothing, until they give some away.

    Args:
        have_all: asks Kafka whether they have all partitions; it may raise, or wait for long.
    """

    def __init__(self, have_all: Callable[[], bool]):
        self._have_all = have_all
        self._asked: Future[bool] | None = None
        self._asked_s = 0.0
        self._looked_s = 0.0
        self._silence: Silence | None = None

    def forget(self) -> None:
        """Note that this member has partitions."""
        self._silence = self._asked = None

    def for_s(self) -> float | None:
        """Return for how many seconds they have had all; None: they have not, or it is unknown.

        Does not wait: it asks in the background.
        """
        now = time.monotonic()
        if self._silence is not None:
            self._silence.waited(now - self._looked_s)
        self._looked_s = now
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            if asked.exception() is not None or not asked.result():
                self._silence = None
            elif self._silence is None:
                self._silence = Silence()
        elif self._asked is None and now - self._asked_s >= _ASK_EVERY_S:
            self._asked, self._asked_s = in_background(self._have_all), now
        return None if self._silence is None else self._silence.seconds
