"""Online learning with results that a crash does not change."""

from tfkafka.online.learner import learn
from tfkafka.online.progress import Progress
from tfkafka.online.stream import Stream

__all__ = ["Progress", "Stream", "learn"]
