"""Progress that is reported while reports fail."""

from __future__ import annotations

import pytest

from tfkafka.client import reports
from tfkafka.client.reports import OffsetReport
from tfkafka.errors import ConfigurationError


def test_a_report_without_a_token_is_not_the_last(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class FakeCluster:
        def __init__(self, *_arguments, **_options):
            pass

        def ask_coordinator(self, *_arguments):
            asked.append(1)
            raise ConfigurationError("oauth_cb gives no token")

    monkeypatch.setattr(reports, "Cluster", FakeCluster)
    report = OffsetReport({"bootstrap.servers": "h:1"}, "g", "t")
    for number in (1, 2):
        report.send({0: number})
        assert report.refusal() == "oauth_cb gives no token"
        assert len(asked) == number
