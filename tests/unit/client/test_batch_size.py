"""Answers about a topic's largest batch that no broker of Apache's gives."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import ConfigEntry

from tfkafka.client.batch_size import takes_large_batches
from tfkafka.client.cluster import Cluster

LIMIT = "max.message.bytes"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({LIMIT: ConfigEntry(LIMIT, "1000000")}, True),
        ({}, False),
        ({LIMIT: ConfigEntry(LIMIT, None)}, False),
        ({LIMIT: ConfigEntry(LIMIT, "")}, False),
    ],
)
def test_a_limit_that_is_not_said_is_not_known(monkeypatch, answer, expected):
    monkeypatch.setattr(Cluster, "ask", lambda *_, **__: answer)
    assert takes_large_batches({"bootstrap.servers": "127.0.0.1:1"}, "t") is expected
