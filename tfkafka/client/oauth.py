"""Tokens of OAUTHBEARER: a function that returns them, and what is wrong with one.

confluent-kafka 2.16 asks the function, `oauth_cb`, while it makes the client. Where it fails, that
waits for 10 s and does not say why. So it is asked before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError

from tfkafka.errors import ConfigurationError

_NAME = "oauth_cb"
_RESULT = "a token, which is text, and when it ends, in seconds since 1970"

# What a broker answers (RFC 7628), in librdkafka's words of it, and what librdkafka finds itself.
_REFUSED = re.compile(r'SASL authentication error: \{"status":\s*"(?P<status>\w+)"')
_ENDED = re.compile(r"Must supply an unexpired token: now=(?P<now>\d+)ms, exp=(?P<end>\d+)ms")


def with_first_token(settings: Mapping[str, object]) -> dict[str, Any]:
    """Return settings in which a function `oauth_cb` has been asked once.

    Raises ConfigurationError where it raises, or returns no token that can be used now.
    """
    found = dict(settings)
    ask = found.get(_NAME)
    if callable(ask):
        first = _checked(ask, str(found.get("sasl.oauthbearer.config", "")))
        found[_NAME] = _beginning_with(first, ask)
    return found


def without_function(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings for a client that connects to nothing, and so needs no token."""
    if not callable(settings.get(_NAME)):
        return dict(settings)
    left = {name: value for name, value in settings.items() if name != _NAME}
    return left | {"enable.sasl.oauthbearer.unsecure.jwt": True}


def is_refused(error: KafkaError) -> bool:
    """Return whether a broker has refused the token of a client."""
    return _REFUSED.search(error.str()) is not None


def fault_of_token(words: str) -> tuple[str, str] | None:
    """Return what is wrong with a token and what to do; None where these words do not say it.

    Args:
        words: what librdkafka says of the login.
    """
    if refused := _REFUSED.search(words):
        return (
            f"it refuses the token: {refused['status']}",
            "check its signature, issuer, audience and end; the broker's log says which is wrong",
        )
    if ended := _ENDED.search(words):
        late_s = (int(ended["now"]) - int(ended["end"])) // 1000
        return (
            f"the provider's token has ended {late_s} s ago",
            "check the clocks of this machine and of the provider",
        )
    return None


def _checked(ask: Callable[[str], Any], configuration: str) -> Any:
    # Neither the token nor the text of an error is quoted: both may be secret.
    try:
        answer = ask(configuration)
    except Exception as error:
        raise ConfigurationError(
            f"{_NAME} raised {type(error).__name__}: it must return {_RESULT}"
        ) from error
    try:
        token, end = answer[:2]
        lasts_s = float(end) - time.time()
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{_NAME} returned {type(answer).__name__}: it must return {_RESULT}"
        ) from None
    if not isinstance(token, str) or lasts_s <= 0:
        what = f"has ended {-lasts_s:.0f} s ago" if isinstance(token, str) else "is no text"
        raise ConfigurationError(f"{_NAME} returned a token that {what}: it must return {_RESULT}")
    return answer


def _beginning_with(first: Any, ask: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a function that returns `first` once, and then asks."""
    waiting = [first]
    return lambda configuration: waiting.pop() if waiting else ask(configuration)
