"""A meter's numbers as Prometheus reads them. The only module that knows prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tfkafka.metrics.meter import Event, RunningMeter

__all__ = ["CONTENT_TYPE_LATEST", "Page"]

_EVENTS: Mapping[Event, str] = {
    "batches": "Batches, chunks or mini datasets of records",
    "commits": "Commits that Kafka has confirmed, or states that were saved",
    "restarts": "Times that the work began again at what was committed or saved",
    "rebalances": "Times that partitions were assigned",
    "model_exchanges": "Times that a worker went on with another exported model",
}


class Page:
    """The page that Prometheus reads.

    A registry of its own: several readers of a process do not meet. Its numbers are taken from the
    meter when the page is read, so that nothing of prometheus-client is called before.
    """

    def __init__(self, meter: RunningMeter):
        self._registry = CollectorRegistry()
        self._registry.register(_Numbers(meter))

    def text(self) -> bytes:
        """Return the page in Prometheus' text format."""
        return generate_latest(self._registry)


class _Numbers(Collector):
    def __init__(self, meter: RunningMeter):
        self._meter = meter

    def describe(self) -> list[Metric]:
        # Else registering would read all numbers to learn their names.
        return []

    def collect(self) -> Iterator[Metric]:
        meter = self._meter
        yield CounterMetricFamily(
            "tfkafka_records", "Records that were read", value=meter.counts.read
        )
        bad = CounterMetricFamily(
            "tfkafka_bad_records", "Records that could not be decoded", labels=["reason"]
        )
        for reason, count in dict(meter.counts.reasons).items():
            bad.add_metric([reason], count)
        yield bad
        for event, what in _EVENTS.items():
            yield CounterMetricFamily(f"tfkafka_{event}", what, value=meter.events[event])
        seconds = CounterMetricFamily(
            "tfkafka_stage_seconds", "Seconds spent in a stage of the work", labels=["stage"]
        )
        for stage, spent in dict(meter.seconds).items():
            seconds.add_metric([stage], spent)
        yield seconds
        lag = GaugeMetricFamily(
            "tfkafka_lag",
            "Offsets between what is committed and the end of the partition",
            labels=["topic", "partition"],
        )
        for source, left in meter.lag().items():
            lag.add_metric([source.topic, str(source.partition)], left)
        yield lag
