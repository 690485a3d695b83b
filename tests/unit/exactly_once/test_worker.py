"""What a worker of exactly-once inference refuses before it begins."""

from __future__ import annotations

import pytest

from tfkafka.errors import ConfigurationError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob


@pytest.mark.parametrize(
    "argument", [{"transaction_records": 0}, {"transaction_wait": -1}, {"stream_timeout": -2}]
)
def test_bad_arguments(argument):
    job = InferenceJob(lambda rows: rows, None, ["in"], "out", "group")
    with pytest.raises(ConfigurationError, match=f"{next(iter(argument))} is"):
        ExactlyOnceInference(job, **argument)


def test_dead_letter_without_a_topic():
    job = InferenceJob(lambda rows: rows, None, ["in"], "out", "group", on_bad_record="dead_letter")
    with pytest.raises(ValueError, match="go together"):
        ExactlyOnceInference(job)
