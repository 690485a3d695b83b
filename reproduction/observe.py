"""What the scripts observe around the tutorial's lines, kept for the claims and the report.

The modules beside this one, observe_*.py, observe a model at work.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproduction.claims import CONDITIONS
from reproduction.files import write_whole
from tfkafka.errors import WriteError

if TYPE_CHECKING:
    from kafka.producer.future import FutureRecordMetadata


def observations_path(artifacts: Path, reader: str = "") -> Path:
    """Return the file of what a reader's scripts observed; of steps without one if it is ""."""
    return artifacts / (f"observations-{reader}.json" if reader else "observations.json")


def note(arguments: Namespace, observed: Mapping[str, Any]) -> None:
    """Add `observed`, named by claim id, to the observations in the artifacts folder.

    Each reader has a file of its own, which begins with what the steps before had observed: the
    tutorial's runs with both readers stand side by side. The present conditions are kept with each
    claim, since one script can run again with others.
    """
    reader = getattr(arguments, "reader", "")
    path = observations_path(arguments.artifacts, reader)
    news = dict(observed) | ({"run.reader": reader} if reader else {})
    shared = read_observations(observations_path(arguments.artifacts))
    observations = read_observations(path)
    conditions = observations.get("conditions", {}) | shared.get("conditions", {})
    observations |= shared | news
    now = {name: observations[name] for name in CONDITIONS if name in observations}
    claims = [name for name in news if not name.startswith("run.")]
    observations["conditions"] = conditions | dict.fromkeys(claims, now)
    write_whole(path, json.dumps(observations, indent=1) + "\n")


def read_observations(path: Path) -> dict[str, Any]:
    """Return what scripts have observed so far. A damaged file is an OSError."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise OSError(5, f"is damaged ({error}): delete it", str(path)) from error


class Delivery:
    """The records sent to one topic, and whether Kafka acknowledged each of them.

    The tutorial raises in an error callback instead. kafka-python logs that exception and swallows
    it, so the run would go on: each future is kept and asked.
    """

    def __init__(self, servers: str, topic: str) -> None:
        self._where = f"topic {topic} on {servers}"
        self._futures: list[FutureRecordMetadata] = []

    def add(self, future: FutureRecordMetadata) -> None:
        """Remember a record that was sent."""
        self._futures.append(future)

    def confirm(self) -> None:
        """Raise WriteError where a record was not acknowledged; call it after `flush()`."""
        failed = [number for number, future in enumerate(self._futures) if not future.succeeded()]
        if failed:
            first = failed[0]
            raise WriteError(
                f"{self._where}: {len(failed):,} of {len(self._futures):,} records were not "
                f"acknowledged, the first is number {first} ({self._futures[first].exception}): "
                f"run scripts/03_create_topics.py --recreate, then this again"
            )
