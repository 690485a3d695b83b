"""What `metrics_port` asks for."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from tfkafka._util import arguments
from tfkafka.metrics.meter import UNMETERED, Meter, RunningMeter

if TYPE_CHECKING:
    from tfkafka.metrics.endpoint import Endpoint


class Metrics:
    """What `metrics_port` asks for: a meter, and an endpoint between `open` and `close`.

    Args:
        metrics_port: a port of 127.0.0.1, or `HOST:PORT`; 0: a free port; None: no metrics.

    Raises:
        TypeError, ValueError: it is neither.
        MetricsError: prometheus-client is not installed.

    Attributes:
        meter: counts nothing where there is no `metrics_port`.
        port: the port that was listened on last, or None.
    """

    def __init__(self, metrics_port: int | str | None):
        self.meter: Meter = UNMETERED
        self.port: int | None = None
        self._endpoint: Endpoint | None = None
        if metrics_port is None:
            return
        host, port = arguments.listener("metrics_port", metrics_port)
        self.meter = meter = RunningMeter()
        # Not imported, nor what it needs, where nobody wants metrics.
        from tfkafka.metrics.endpoint import Endpoint

        self._endpoint = Endpoint(host, port, meter)
        # Where nobody calls `close`. It may not wait: while a finalizer does, no thread can collect
        # garbage, and this may run in the thread that it would wait for.
        weakref.finalize(self, self._endpoint.end)

    def open(self) -> None:
        """Listen, again after `close`; does nothing while it listens.

        Raises MetricsError where that is not possible.
        """
        if self._endpoint is not None:
            self.port = self._endpoint.open()

    def close(self) -> None:
        """Stop listening, and end the thread. Safe to call twice."""
        if self._endpoint is not None:
            self._endpoint.close()
