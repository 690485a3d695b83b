"""Online learning with results that a crash does not change."""

from tfkafka.online.learner import Progress, Stream, learn

__all__ = ["Progress", "Stream", "learn"]
