"""For tests of one's own: real brokers, waiting with a deadline, a judge of what was delivered."""

from tfkafka._util.waiting import wait_for

__all__ = ["wait_for"]
