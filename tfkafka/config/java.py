"""The settings of a Java client, in librdkafka's names.

Names that both have are kept, and so are names that neither has: they are refused with the nearest
right ones when a client is created.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from pathlib import Path

from tfkafka.errors import ConfigurationError

_ONLY_JAVA = re.compile(
    r"sasl\.jaas\.config|sasl\.(login|client)\.(callback\.handler\.)?class|ssl\.truststore\..*"
    r"|ssl\.keystore\.(type|key|certificate\.chain)|(key|value)\.(de)?serializer"
)
# tfkafka does what they say: records are bytes.
_NEEDLESS = re.compile(r"(key|value)\.(de)?serializer")
_JAAS = re.compile(r"\s*(?P<module>[\w.$]+)\s+\w+(?P<options>.*?);?\s*", re.DOTALL)
_OPTION = re.compile(r"""([\w.]+)\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s;"']+)""")
_OIDC = "OAuthBearerLoginCallbackHandler"
_TO_PEM = (
    "librdkafka needs PEM: keytool -importkeystore -srckeystore STORE -destkeystore store.p12 "
    "-deststoretype PKCS12, then openssl pkcs12 -in store.p12 -out store.pem"
)

Settings = MutableMapping[str, str]


def is_java(names: Iterable[str]) -> bool:
    """Return whether a name is among them that only a Java client knows."""
    return any(_ONLY_JAVA.fullmatch(name) for name in names)


def translated(settings: Settings) -> dict[str, str]:
    """Return the settings of a Java client in librdkafka's names.

    Raises ConfigurationError for one that has no counterpart.
    """
    left = {name: value for name, value in settings.items() if not _NEEDLESS.fullmatch(name)}
    made: dict[str, str] = {}
    for translate in (_callback_handlers, _login, _trust_store, _key_store, _identification):
        made |= translate(left)
    return {**left, **made}


def refuse_key_stores(settings: Settings) -> None:
    """Raise ConfigurationError where a key store, PKCS#12 for librdkafka, is one of Java's own."""
    location = settings.get("ssl.keystore.location")
    if location is not None and _is_jks(location):
        raise _refused_store("ssl.keystore", "JKS")


def _login(settings: Settings) -> dict[str, str]:
    jaas = settings.pop("sasl.jaas.config", None)
    if jaas is None:
        return {}
    found = _JAAS.fullmatch(jaas)
    module = found["module"].rpartition(".")[2] if found else ""
    options = dict(_options(found["options"])) if found else {}
    names = _LOGINS.get(module)
    if names is None:
        known = ", ".join(_LOGINS)
        raise ConfigurationError(
            f"sasl.jaas.config is not of one of the modules {known}: write the settings sasl.* of "
            f"librdkafka instead"
        )
    if missing := [name for name in names[:2] if not options.get(name[0])]:
        raise ConfigurationError(f"sasl.jaas.config has no {missing[0][0]}")
    return {ours: options[theirs] for theirs, ours in names if theirs in options}


# An option of each module, and librdkafka's name; the first two must be there.
_PASSWORD = (("username", "sasl.username"), ("password", "sasl.password"))
_LOGINS = {
    "PlainLoginModule": _PASSWORD,
    "ScramLoginModule": _PASSWORD,
    "OAuthBearerLoginModule": (
        ("clientId", "sasl.oauthbearer.client.id"),
        ("clientSecret", "sasl.oauthbearer.client.secret"),
        ("scope", "sasl.oauthbearer.scope"),
    ),
}


def _options(text: str) -> Iterable[tuple[str, str]]:
    for name, value in _OPTION.findall(text):
        quoted = value[0] in "\"'"
        yield name, re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value


def _callback_handlers(settings: Settings) -> dict[str, str]:
    made = {}
    for name in ("sasl.login.callback.handler.class", "sasl.client.callback.handler.class"):
        handler = settings.pop(name, None)
        if handler is None:
            continue
        if handler.rpartition(".")[2] != _OIDC:
            raise ConfigurationError(
                f"{name} names a class of Java: give librdkafka's settings sasl.oauthbearer.*, or "
                f"oauth_cb in Python"
            )
        made["sasl.oauthbearer.method"] = "oidc"
    return made


def _trust_store(settings: Settings) -> dict[str, str]:
    _, location = _store(settings, "ssl.truststore", ("PEM",))
    certificates = settings.pop("ssl.truststore.certificates", None)
    settings.pop("ssl.truststore.password", None)  # of a store that was refused otherwise
    made = {} if certificates is None else {"ssl.ca.pem": certificates}
    return made if location is None else {**made, "ssl.ca.location": location}


def _key_store(settings: Settings) -> dict[str, str]:
    kind, location = _store(settings, "ssl.keystore", ("PEM", "PKCS12"))
    made = {
        ours: settings.pop(theirs)
        for theirs, ours in (
            ("ssl.keystore.key", "ssl.key.pem"),
            ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
        )
        if theirs in settings
    }
    if location is None:
        return made
    if kind == "PEM":
        return {**made, "ssl.certificate.location": location, "ssl.key.location": location}
    return {**made, "ssl.keystore.location": location}


def _store(settings: Settings, name: str, allowed: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the type and the location of a store. Raises where librdkafka cannot read it."""
    kind = settings.pop(f"{name}.type", "JKS")
    location = settings.pop(f"{name}.location", None)
    if location is not None and (kind not in allowed or _is_jks(location)):
        raise _refused_store(name, kind)
    return kind, location


def _is_jks(location: str) -> bool:
    try:
        with Path(location).open("rb") as file:
            return file.read(4) == b"\xfe\xed\xfe\xed"
    except OSError:
        return False  # the client says it


def _refused_store(name: str, kind: str) -> ConfigurationError:
    flags = "-nokeys" if name == "ssl.truststore" else "-nodes"
    return ConfigurationError(
        f"{name}.location is a store of type {kind}: {_TO_PEM} {flags}, and set "
        f"{name}.type=PEM and {name}.location=store.pem"
    )


def _identification(settings: Settings) -> dict[str, str]:
    name = "ssl.endpoint.identification.algorithm"
    return {name: "none"} if settings.get(name) == "" else {}
