"""What one measurement is: seconds of wall, CPU and stolen time, and memory, of this process."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reproduction.report.machine import stolen_seconds


@dataclass(frozen=True)
class Sample:
    """One round of one side.

    Attributes:
        wall_s: seconds that the work took.
        cpu_s: CPU seconds of the process and of the children that it waited for; not the broker's;
            None where they are not known of the work alone.
        stolen_s: CPU seconds that the host took from this machine meanwhile, of all cores.
        peak_mib: MiB that the process has had resident at most since its start.
        steps: batches, where the work has any.
        span_s: seconds in which `stolen_s` was taken, where that is more than the work.
        apart: seconds of what is not part of `wall_s`, by name.
    """

    wall_s: float
    cpu_s: float | None
    stolen_s: float
    peak_mib: float
    steps: int = 0
    span_s: float | None = None
    apart: dict[str, float] = field(default_factory=dict)


class Meter:
    """Measures from its making until `stop`."""

    def __init__(self):
        self._stolen = stolen_seconds()
        self._cpu = _cpu_s()
        self._wall = time.monotonic()

    def stop(self, steps: int = 0, **apart: float) -> Sample:
        """The sample; names in `apart` have spaces for underscores."""
        wall = time.monotonic() - self._wall
        cpu, stolen = _cpu_s() - self._cpu, stolen_seconds() - self._stolen
        named = {name.replace("_", " "): seconds for name, seconds in apart.items()}
        return Sample(wall, cpu, stolen, peak_mib(), steps, apart=named)


def measured(work: Callable[[], object], steps: int = 0) -> Sample:
    """Do the work once and measure it."""
    meter = Meter()
    work()
    return meter.stop(steps)


def peak_mib() -> float:
    """MiB resident at most, of this process or of a child that it waited for.

    VmHWM, because `ru_maxrss` begins with what the parent had when this process was started.
    """
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    try:
        own = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        own = None
    if own is None:
        return max(child, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return max(child, int(own[1]) / 1024)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
