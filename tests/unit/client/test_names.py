"""Which names of topics and addresses of brokers are refused, and with what words."""

from __future__ import annotations

import pytest

from tfkafka.client.names import Address, check_topic_name, parse_addresses
from tfkafka.errors import ConfigurationError, TopicError


@pytest.mark.parametrize("name", ["t", "susy-train", "a.b_c-9", "...", "x" * 249])
def test_names_that_kafka_allows(name):
    check_topic_name(name)


@pytest.mark.parametrize(
    "name", ["", " ", "with blank", "a/b", "a,b", "a:0", ".", "..", "x" * 250, "é", "t\n", None, 7]
)
def test_names_that_kafka_does_not_allow(name):
    with pytest.raises(TopicError, match=r"^.* is no topic name: a name has 1 to 249 ASCII"):
        check_topic_name(name)


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ("h:9092", [Address("h", 9092)]),
        (" a:1 , b:65535,", [Address("a", 1), Address("b", 65535)]),
        ("[::1]:9092,127.0.0.1:1", [Address("::1", 9092), Address("127.0.0.1", 1)]),
        ("[fe80::1%eth0]:9092", [Address("fe80::1%eth0", 9092)]),
        ("SASL_SSL://h:9092,plaintext://i:1", [Address("h", 9092), Address("i", 1)]),
        ("bücher.example:9092", [Address("bücher.example", 9092)]),
    ],
)
def test_addresses(servers, found):
    assert parse_addresses(servers) == found


def test_an_address_is_shown_as_it_is_written():
    assert [str(each) for each in parse_addresses("h:1,[::1]:2")] == ["h:1", "[::1]:2"]


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ("", "bootstrap.servers is empty: give HOST:PORT of a broker"),
        (" , ", "bootstrap.servers is empty: give HOST:PORT of a broker"),
        ("localhost", "'localhost' is no address of a broker: it has no port.*localhost:9092$"),
        ("a:1,b", "'b' is no address of a broker: it has no port"),
        ("http://h:9092", "'http://h:9092' is no address of a broker: give HOST:PORT alone"),
        ("kafka://h:9092", "give HOST:PORT alone"),
        ("h:9092/path", "is no address of a broker: give HOST:PORT"),
        ("h:0", "is no address"),
        ("h:65536", "is no address"),
        ("h:kafka", "is no address"),
        (":9092", "is no address"),
        ("::1:9092", r"\[HOST\]:PORT for an IPv6 address"),
        ("h one:9092", "is no address"),
        (9092, "'9092' is no address of a broker"),
        ("a\x1eb", r"Kafka's usual one is 9092: a\\x1eb:9092$"),
    ],
)
def test_what_is_no_address(servers, words):
    with pytest.raises(ConfigurationError, match=words) as refusal:
        parse_addresses(servers)
    assert "\n" not in str(refusal.value)


def test_a_password_in_an_address_is_not_printed():
    with pytest.raises(ConfigurationError) as refusal:
        parse_addresses("http://me:Pa55word@h:9092")
    assert "Pa55word" not in str(refusal.value)
