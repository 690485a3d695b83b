"""`oauth_cb`: a function that returns tokens, asked before a client is made.

confluent-kafka 2.16 asks it while it makes the client. Where it fails, that waits for 10 s and does
not say why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from tfkafka.errors import ConfigurationError

_NAME = "oauth_cb"
_RESULT = "a token, which is text, and when it ends, in seconds since 1970"


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
