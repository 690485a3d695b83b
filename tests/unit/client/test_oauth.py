"""A function that returns tokens, without a broker."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from tfkafka.client import create
from tfkafka.errors import ConfigurationError

SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "log_level": 0}


def fails(_configuration: str) -> tuple[str, float]:
    raise OSError("secret")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (fails, "oauth_cb raised OSError: it must return a token"),
        (lambda _: "secret", "oauth_cb returned str: it must return a token"),
        (lambda _: ("secret", "soon"), "oauth_cb returned tuple: it must return a token"),
        (lambda _: (b"secret", 1e12), "oauth_cb returned a token that is no text: it must"),
        (
            lambda _: ("secret", time.time() - 60),
            "a token that has ended 60 s ago",
        ),
    ],
)
def test_a_function_without_a_token_is_refused_at_once(function, reason):
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match=reason) as raised:
        create.make_client(Producer, {**SASL, "oauth_cb": function})
    assert "secret" not in str(raised.value)
    # librdkafka would wait for 10 s.
    assert time.monotonic() - began < 9


def test_a_function_is_asked_once_for_each_client_and_never_for_a_check():
    asked = []

    def ask(configuration: str) -> tuple[str, float]:
        asked.append(configuration)
        return "token", time.time() + 3600

    settings = {**SASL, "oauth_cb": ask, "sasl.oauthbearer.config": "of the client"}
    create.check(settings)
    assert asked == []
    create.make_client(Producer, settings)
    assert asked == ["of the client"]
