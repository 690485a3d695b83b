"""Tools for your own tests: real brokers, waiting with a deadline, a checker of deliveries."""

from tfkafka._util.waiting import wait_for

__all__ = ["wait_for"]
