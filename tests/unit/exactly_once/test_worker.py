"""What a worker of exactly-once inference refuses before it begins."""

from __future__ import annotations

import pytest

from tfkafka.errors import ConfigurationError
from tfkafka.exactly_once import ExactlyOnceInference, Job


@pytest.mark.parametrize(
    "argument", [{"transaction_records": 0}, {"transaction_wait": -1}, {"stream_timeout": -2}]
)
def test_bad_arguments(argument):
    job = Job(lambda rows: rows, None, ["in"], "out", "group")
    with pytest.raises(ConfigurationError, match=f"{next(iter(argument))} is"):
        ExactlyOnceInference(job, **argument)


def test_quarantine_without_a_topic():
    job = Job(lambda rows: rows, None, ["in"], "out", "group", on_poison="quarantine")
    with pytest.raises(ValueError, match="go together"):
        ExactlyOnceInference(job)
