"""Files of settings: librdkafka's names, and those of a Java client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfkafka import config
from tfkafka.client import create
from tfkafka.errors import ConfigurationError
from tfkafka.testing.brokers.settings import _escaped

Load = Callable[[str], config.Settings]
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
# Whatever a person may have as a password, but the ends of lines.
PASSWORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """load(text) -> the settings of a file with this text."""

    def from_text(text: str) -> config.Settings:
        path = tmp_path / "client.properties"
        path.write_bytes(text.encode())
        return config.load(path)

    return from_text


def test_names_of_librdkafka_are_kept(load):
    text = "\ufeff# comment\r\n\n  client.id = me \r\nsasl.password=a=b\\t#c!\n"
    assert load(text) == {"client.id": "me", "sasl.password": "a=b\\t#c!"}
    assert "a=b" not in str(load(text))


def test_a_path_may_be_text_or_a_path(tmp_path):
    (tmp_path / "file").write_text("client.id=me")
    assert config.load(str(tmp_path / "file")) == config.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("client.id=me\nhush", "line 2 is not of the form name=value"),
        ("=hush", "line 1 is not of the form name=value"),
        ("sasl.password=hush\n#\nsasl.password=hush2", "sasl.password is in line 1 and in line 3"),
        ("sasl.jaas.config=hush", "sasl.jaas.config is not of one of the modules"),
        ("sasl.jaas.config=x.Krb5LoginModule required keyTab=hush;", "is not of one of"),
        (f"sasl.jaas.config={SCRAM} password=hush;", "sasl.jaas.config has no username"),
        (f'sasl.jaas.config={SCRAM} username="hush";', "sasl.jaas.config has no password"),
        ("sasl.login.callback.handler.class=hush", "names a class of Java"),
        ("ssl.truststore.location=hush", "ssl.truststore.location is a store of type JKS: lib"),
        ("ssl.truststore.type=PKCS12\nssl.truststore.location=hush", "is a store of type PKCS12"),
        ("ssl.keystore.type=JKS\nssl.keystore.location=hush", "ssl.keystore.location is a store"),
        ("sasl.password=a\0hush", "the setting sasl.password has a value with a null byte"),
    ],
)
def test_what_is_wrong_is_one_line_without_a_value(load, text, reason):
    with pytest.raises(ConfigurationError) as refusal:
        load(text)
    assert reason in str(refusal.value)
    assert "hush" not in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "no-settings"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"/no-settings (cannot be read|is not UTF-8): "):
        config.load(path)


def test_a_password_of_a_java_client(load):
    for module in (SCRAM, PLAIN):
        found = load(
            "security.protocol : SASL_SSL\n"
            "sasl.mechanism PLAIN\n"
            f"sasl.jaas.config={module} \\\n   username='alice' \\\n"
            '\tpassword="p\\\\"w\\u00f6";\n'
            "client.dns.lookup=use_all_dns_ips\n"
            "value.deserializer=x\n"
        )
        assert found == {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "client.dns.lookup": "use_all_dns_ips",
            "sasl.username": "alice",
            "sasl.password": 'p"wö',
        }


@given(password=PASSWORDS.filter(bool))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_password_of_a_java_client_is_the_same_here(load, password):
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    jaas = f'{SCRAM} username="alice" password="{quoted}";'
    assert load(f"sasl.jaas.config={_escaped(jaas)}\n")["sasl.password"] == password


def test_tokens_of_a_java_client(load):
    handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"
    found = load(
        f"sasl.login.callback.handler.class={handler}\n"
        f'sasl.jaas.config={BEARER} clientId="me" clientSecret="hush" scope="all";\n'
        "sasl.oauthbearer.token.endpoint.url=https://tokens\n"
    )
    assert found == {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "me",
        "sasl.oauthbearer.client.secret": "hush",
        "sasl.oauthbearer.scope": "all",
        "sasl.oauthbearer.token.endpoint.url": "https://tokens",
    }


def test_stores_of_a_java_client(load):
    assert load(
        "ssl.truststore.type=PEM\nssl.truststore.location=/ca\nssl.truststore.password=x\n"
        "ssl.keystore.type=PEM\nssl.keystore.location=/key\nssl.key.password=hush\n"
        "ssl.endpoint.identification.algorithm=\n"
    ) == {
        "ssl.ca.location": "/ca",
        "ssl.certificate.location": "/key",
        "ssl.key.location": "/key",
        "ssl.key.password": "hush",
        "ssl.endpoint.identification.algorithm": "none",
    }
    assert load(
        "ssl.truststore.type=PEM\nssl.truststore.certificates=ca\\n\\\n  more\n"
        "ssl.keystore.type=PEM\nssl.keystore.key=key\nssl.keystore.certificate.chain=chain\n"
    ) == {"ssl.ca.pem": "ca\nmore", "ssl.key.pem": "key", "ssl.certificate.pem": "chain"}
    kept = "ssl.keystore.location=/key.p12\nssl.keystore.password=hush\n"
    assert load(f"ssl.keystore.type=PKCS12\n{kept}") == load(kept)


def test_a_jks_store_is_noticed_by_its_content(load, tmp_path):
    (tmp_path / "store").write_bytes(b"\xfe\xed\xfe\xed\0\0\0\2")
    for kind in ("", "ssl.keystore.type=PKCS12\n"):
        with pytest.raises(ConfigurationError, match=r"ssl\.keystore\.location is a store of type"):
            load(f"{kind}ssl.keystore.location={tmp_path / 'store'}\n")


def test_an_unknown_name_is_refused_with_the_nearest_right_one(load):
    with pytest.raises(ConfigurationError, match=r"no setting sasl\.pasword: .*sasl\.password"):
        create.make_client(Consumer, {"group.id": "g", **load("sasl.pasword=hush")})
