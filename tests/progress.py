"""pytest: with pytest-xdist, which prints a dot for each test, a line for each that took long."""

from __future__ import annotations

from collections import Counter

import pytest

LONG_S = 10


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        config.pluginmanager.register(Progress())


class Progress:
    """Prints to the terminal as tests end."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._ended = 0

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        if report.when != "teardown":
            return
        self._ended += 1
        seconds = self._seconds[report.nodeid]
        if seconds >= LONG_S:
            done = self._ended / self._session.testscollected
            terminal = self._session.config.pluginmanager.get_plugin("terminalreporter")
            terminal.write_line(f" [{done:4.0%}] {seconds:4.0f} s  {report.nodeid}")
