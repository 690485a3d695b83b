"""CPU seconds of each thread of this process while something is measured (Linux)."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.meter import Sample

# A thread that ends loses what it did since the last look: nobody can ask it afterwards.
INTERVAL_S = 0.01
SAMPLER = "sampler"
# Threads with less of the CPU time than this are shown together.
LEAST_SHARE = 0.02
OTHERS = "other threads"
NAMELESS = "threads without a name"


def by_thread(rounds: Callable[[int], Sample]) -> Callable[[int], Sample]:
    """The same rounds, with the CPU seconds of threads in `apart`, and without the sampler's."""

    def once(number: int) -> Sample:
        sampler = Sampler()
        try:
            sample = rounds(number)
        finally:
            used = sampler.stop()
        assert sample.cpu_s is not None
        cpu_s = sample.cpu_s - used.pop(SAMPLER)
        return replace(sample, cpu_s=cpu_s, apart={**sample.apart, **_shown(used)})

    return once


def with_process(rounds: Callable[[int], Sample], process: int) -> Callable[[int], Sample]:
    """The same rounds, with the CPU seconds of another process in `apart`, which lives on."""

    def once(number: int) -> Sample:
        before = dict(_cpu_ns(process))
        sample = rounds(number)
        used = [(ns - before.get(thread, 0)) / 1e9 for thread, ns in _cpu_ns(process)]
        apart = {"CPU of the broker": sum(used), "CPU of its busiest thread": max(used)}
        return replace(sample, apart={**sample.apart, **apart})

    return once


def _shown(used: Counter[str]) -> dict[str, float]:
    least = LEAST_SHARE * used.total()
    shown = {name: seconds for name, seconds in used.most_common() if seconds >= least}
    shown[OTHERS] = used.total() - sum(shown.values())
    return {f"CPU of {name}": seconds for name, seconds in shown.items()}


class Sampler:
    """A thread that looks at all threads again and again, from its making until `stop`."""

    def __init__(self):
        self._seen = dict(_cpu_ns())
        self._used: Counter[str] = Counter({SAMPLER: 0})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=SAMPLER, daemon=True)
        self._thread.start()

    def stop(self) -> Counter[str]:
        """What `used` returns at the end."""
        self._stop.set()
        self._thread.join()
        self._look()
        return self.used()

    def used(self) -> Counter[str]:
        """CPU seconds since this was made, by the threads' names; as of the last look."""
        return Counter({name: ns / 1e9 for name, ns in self._used.copy().items()})

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        names = _python_names()
        for thread, ns in _cpu_ns():
            before = self._seen.get(thread, 0)
            # The number of a thread that has ended can be used again.
            new = ns - before if ns >= before else ns
            self._seen[thread] = ns
            if new:
                self._used[names.get(thread) or _system_name(thread)] += new


def _cpu_ns(process: int | str = "self") -> Iterator[tuple[int, int]]:
    """Nanoseconds that each thread has had of a processor, by its number."""
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):
            yield int(task.name), int((task / "schedstat").read_text().split()[0])


def _python_names() -> dict[int | None, str]:
    """Names of the threads that Python has started; the system calls all of them "python"."""
    return {
        each.native_id: each.name
        for each in threading.enumerate()
        # Not those that others have started, and that only run Python's functions.
        if not isinstance(each, threading._DummyThread)
    }


def _system_name(thread: int) -> str:
    """A thread's name in the system, without its number among others of this name."""
    try:
        name = Path(f"/proc/self/task/{thread}/comm").read_text().strip()
    except OSError:
        return OTHERS
    # Whoever is given no name has that of the process.
    is_nameless = name == Path("/proc/self/comm").read_text().strip()
    return NAMELESS if is_nameless else name.rstrip("-0123456789")
