"""The scenarios; importing this package adds all of them to the registry."""

from tests.histories.scenarios import (  # noqa: F401
    bounded,
    broker_deaths,
    edges,
    groups,
    rebalances,
    situations,
    workers,
)
