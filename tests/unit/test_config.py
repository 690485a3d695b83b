"""Settings of Kafka clients."""

import copy
import dataclasses
import pprint

import pytest
from confluent_kafka import Consumer

from tfkafka import CsvDecoder, KafkaGroupDataset, config
from tfkafka.client import create
from tfkafka.errors import ConfigurationError
from tfkafka.online import Stream

GROUP = {"group.id": "g"}


def test_a_list_and_a_mapping_say_the_same():
    expected = {"session.timeout.ms": "7000", "auto.offset.reset": "earliest"}
    as_list = ["session.timeout.ms=7000", "auto.offset.reset=earliest"]
    assert config.parse(as_list) == config.parse(expected) == expected
    assert config.parse(None) == {}


def test_a_value_may_contain_the_equals_sign():
    assert config.parse(["sasl.password=cGFzcw==x="]) == {"sasl.password": "cGFzcw==x="}


def test_the_prefix_for_settings_of_topics_is_taken_away():
    assert config.parse(["conf.topic.auto.offset.reset=latest"]) == {"auto.offset.reset": "latest"}


@pytest.mark.parametrize("entry", ["my-secret-password", "=my-secret-password", ""])
def test_an_entry_without_a_name_is_refused_and_not_repeated(entry):
    with pytest.raises(ConfigurationError, match="name=value") as refusal:
        config.parse([entry])
    assert "my-secret" not in str(refusal.value)


def test_a_single_text_is_refused():
    with pytest.raises(ConfigurationError, match="give a list"):
        config.parse("session.timeout.ms=7000")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("fetch.min.byte", "fetch.min.bytes"),
        ("session.timeout", "session.timeout.ms"),
        ("sasl.pasword", "sasl.password"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_right_one(wrong, right):
    with pytest.raises(ConfigurationError, match=rf"no setting {wrong}: .*\b{right}\b"):
        create.make_client(Consumer, {**GROUP, wrong: "1"})


@pytest.mark.parametrize("name", ["client.id", "group.id", "group.instance.id"])
def test_a_name_that_no_request_can_hold_is_refused(name):
    """librdkafka would repeat the request forever, and say nothing."""
    with pytest.raises(ConfigurationError, match=rf"^{name} has 32,768 bytes: .* 32,767$"):
        create.make_client(Consumer, {**GROUP, name: "é" * 16_384})
    create.make_client(Consumer, {**GROUP, name: "n" * 32_767}).close()


@pytest.mark.parametrize("value", [" ", "\n\t", " a"])
@pytest.mark.parametrize("name", ["group.id", "client.id", "sasl.username", "sasl.password"])
def test_a_blank_that_the_client_would_leave_out_is_refused(name, value):
    """It would be the name of another group; an empty one ends the process."""
    with pytest.raises(ConfigurationError, match=rf"^{name} begins with a blank, and Kafka's cl"):
        create.make_client(Consumer, {**GROUP, name: value})


def test_blanks_where_they_mean_nothing_are_left_to_the_client():
    settings = {"group.id": "a b ", "session.timeout.ms": " 6000", "client.id": "é,\\"}
    create.make_client(Consumer, settings).close()


def test_the_nearest_names_need_no_folder_for_temporary_files(monkeypatch):
    """A container may have none that can be written to."""

    def no_folder() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    assert create.nearest_names("fetch.min.byte")[0] == "fetch.min.bytes"


def test_a_refused_value_is_told_unless_it_is_a_secret():
    with pytest.raises(ConfigurationError, match=r"session\.timeout\.ms"):
        create.make_client(Consumer, {**GROUP, "session.timeout.ms": "a while"})
    with pytest.raises(ConfigurationError) as refusal:
        create.make_client(Consumer, {**GROUP, "ssl.key.pem": "hush", "security.protocol": "ssl"})
    assert "hush" not in str(refusal.value)


def test_what_says_how_to_connect_goes_to_the_other_clients_too():
    connection = {
        "bootstrap.servers": "h:1",
        "client.id": "c",
        "security.protocol": "ssl",
        "enable.ssl.certificate.verification": "false",
        "https.ca.location": "probe",
        "sasl.mechanism": "PLAIN",
        "oauth_cb": print,
        "broker.address.family": "v4",
    }
    others = {"group.id": "g", "enable.partition.eof": True, "session.timeout.ms": 7000}
    assert config.connection_settings({**connection, **others}) == connection


def test_the_address_may_have_librdkafkas_other_name():
    other = ["metadata.broker.list=h:1"]
    assert config.consumer_settings(None, other) == {"bootstrap.servers": "h:1"}
    assert config.consumer_settings("k:2", other)["bootstrap.servers"] == "k:2"


def test_secrets_are_masked_in_every_text_of_the_settings():
    secrets = {
        "sasl.password": "hush",
        "ssl.key.password": "hush",
        "ssl.keystore.password": "hush",
        "ssl.key.pem": "hush",
        "sasl.oauthbearer.client.secret": "hush",
        "sasl.oauthbearer.assertion.private.key.passphrase": "hush",
    }
    settings = config.parse({**secrets, "client.id": "me"})
    combined = settings | {"a": 1}
    plain_first = {"a": 1} | settings
    changed = settings.copy()
    changed |= {"a": 1}
    for each in (
        settings,
        settings.copy(),
        copy.deepcopy(settings),
        combined,
        plain_first,
        changed,
    ):
        for text in (repr(each), str(each), f"{each}", pprint.pformat(each)):
            assert "hush" not in text
            assert "me" in text
    assert combined == plain_first == changed == {**settings, "a": 1}


def test_secrets_are_masked_in_the_text_of_a_stream():
    secret = {"sasl.password": "hush", "sasl.mechanism": "PLAIN", "client.id": "me"}
    for configuration in (secret, [f"{name}={value}" for name, value in secret.items()]):
        stream = Stream("t", CsvDecoder(1, "key"), "h:1", configuration=configuration)
        for text in (repr(stream), str(dataclasses.asdict(stream))):
            assert "hush" not in text
            assert "me" in text


@pytest.mark.parametrize("setting", [{"fetch.wait.max.ms": "abc"}, ["fetch.wait.max.ms=abc"]])
def test_a_setting_that_is_no_number_is_named(setting):
    with pytest.raises(ConfigurationError, match=r"fetch\.wait\.max\.ms"):
        KafkaGroupDataset("t", "g", "h:1", configuration=setting)
    with pytest.raises(ConfigurationError, match=r"fetch\.wait\.max\.ms is 'abc', must be a whole"):
        config.whole_number(config.parse(setting), "fetch.wait.max.ms", 500)


def test_every_name_of_librdkafka_that_holds_a_secret_is_known_as_one():
    names = create.known_names()
    assert len(names) > 150
    for name in names:
        if "password" in name or "passphrase" in name or "secret" in name:
            assert config.is_secret(name), name


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("session.timeout.ms", 7000, ", or set consumer.session.timeout.ms of the group"),
        ("heartbeat.interval.ms", 500, ", or set consumer.heartbeat.interval.ms of the group"),
        ("partition.assignment.strategy", "range", ", or set group.remote.assignor"),
        ("group.protocol.type", "consumer", "$"),
    ],
)
def test_what_the_broker_decides_in_the_new_protocol(name, value, instead):
    settings = {**GROUP, "group.protocol": "Consumer", name: value}
    line = f"^{name} does not go together with group.protocol=consumer: leave it out{instead}"
    with pytest.raises(ConfigurationError, match=line):
        create.make_client(Consumer, settings)


def test_an_exactly_once_consumer_of_the_new_protocol():
    """librdkafka would refuse tfkafka's own settings too."""
    settings = config.exactly_once_settings({**GROUP, "group.protocol": "consumer"})
    create.make_client(Consumer, settings).close()
    classic = config.exactly_once_settings({**GROUP, "session.timeout.ms": 7000})
    assert classic["session.timeout.ms"] == 7000
    assert classic["partition.assignment.strategy"] == "range"


def test_a_worker_has_no_lasting_membership_in_the_new_protocol():
    new = {"group.protocol": "consumer"}
    assert config.worker_name({}, "7") == {"group.instance.id": "7"}
    assert config.worker_name(new, "7") == {"client.id": "7"}
    with pytest.raises(ConfigurationError, match=r"^group\.instance\.id keeps a stopped worker's"):
        config.worker_name({**new, "group.instance.id": "x"}, "7")
