"""pytest: with pytest-xdist, which prints a dot for each test, a line for each that took long."""

from __future__ import annotations

from collections import Counter

import pytest

LONG_S = 10


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        config.pluginmanager.register(Progress(config))


class Progress:
    """Prints to the terminal as tests end."""

    def __init__(self, config: pytest.Config):
        self._config = config
        self._seconds: Counter[str] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        took_long = self._seconds[report.nodeid] >= LONG_S
        if report.when == "teardown" and took_long:
            terminal = self._config.pluginmanager.get_plugin("terminalreporter")
            terminal.ensure_newline()
            terminal.write_line(f"{self._seconds[report.nodeid]:4.0f} s  {report.nodeid}")
