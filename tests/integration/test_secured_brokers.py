"""Embedded brokers with TLS, passwords and rights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.integration.dropping import drop_first
from tfkafka import Admin, tfio
from tfkafka.errors import BrokerError, WriteError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded, rights
from tfkafka.testing.brokers.base import answers_metadata
from tfkafka.testing.brokers.certificates import CertificateAuthority
from tfkafka.testing.brokers.embedded import EmbeddedBroker, EmbeddedCluster, Security
from tfkafka.tfio import kafka as kafka_io

SCRAM, PLAIN = "SCRAM-SHA-512", "PLAIN"
SILENT = logging.getLogger("silent")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


@pytest.fixture
def make_broker(tmp_path) -> Iterator[Callable[..., EmbeddedBroker]]:
    """make_broker(version, **security) -> a broker, which ends with the test."""
    brokers = []

    def make(version: str, **security) -> EmbeddedBroker:
        started = embedded.start(tmp_path, version, security=Security(**security), progress=False)
        brokers.append(started)
        return started

    yield make
    for broker in brokers:
        broker.stop()


@pytest.fixture
def topic_there(secured_kafka: EmbeddedBroker, group: str) -> str:
    """A topic on which nobody has a right."""
    Admin(secured_kafka.bootstrap_servers).create_topic(group)
    return group


def write(
    broker: EmbeddedBroker | EmbeddedCluster, topic: str, settings: Mapping[str, object]
) -> str | None:
    """Why a record was refused, or None where it was written."""
    answers = []
    producer = Producer(
        {
            **settings,
            "bootstrap.servers": broker.secured_servers,
            # A cluster that has lost a broker needs some time to elect a leader.
            "message.timeout.ms": 60_000,
        },
        logger=SILENT,
    )
    producer.produce(topic, b"value", on_delivery=lambda error, _: answers.append(error))
    assert producer.flush(90) == 0
    [answer] = answers
    return answer and answer.name()


def read(broker: EmbeddedBroker, topic: str, group: str, settings: Mapping[str, object]) -> bytes:
    """The first record; KafkaException where it is refused."""
    consumer = Consumer(
        {
            **settings,
            "bootstrap.servers": broker.secured_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
        },
        logger=SILENT,
    )
    try:
        consumer.subscribe([topic])
        message = wait_for(lambda: consumer.poll(0.1), f"a record of {topic}")
        if message.error():
            raise KafkaException(message.error())
        return message.value()
    finally:
        consumer.close()


def refusal(broker: EmbeddedBroker, settings: Mapping[str, object]) -> str:
    """The first reason for which the client gets no connection."""
    reasons: list[str] = []
    client = AdminClient(
        {
            **settings,
            "bootstrap.servers": broker.secured_servers,
            "error_cb": lambda error: reasons.append(error.str()),
        },
        logger=SILENT,
    )
    return wait_for(lambda: client.poll(0.1) * 0 or reasons, "a reason")[0]


@pytest.mark.parametrize("mechanism", [SCRAM, PLAIN])
def test_right_password_reads_and_writes(secured_kafka, topic_there, mechanism):
    alice = secured_kafka.client_configuration("alice", mechanism)
    secured_kafka.grant("alice", "ALL", topic=topic_there)
    secured_kafka.grant("alice", "READ", group=topic_there)
    assert write(secured_kafka, topic_there, alice) is None
    assert read(secured_kafka, topic_there, topic_there, alice) == b"value"
    assert alice["security.protocol"] == "SASL_SSL"


@pytest.mark.parametrize("given", [dict, lambda each: [f"{k}={v}" for k, v in each.items()]])
def test_tensorflow_ios_names_write_with_a_password(secured_kafka, topic_there, given):
    import tensorflow as tf

    settings = given(secured_kafka.client_configuration("alice", SCRAM))
    servers = secured_kafka.secured_servers
    with pytest.raises(WriteError, match=f"{topic_there}.*WRITE"):
        kafka_io.write_kafka("0", topic_there, servers, configuration=settings)
    secured_kafka.grant("alice", "ALL", topic=topic_there)
    kafka_io.write_kafka("0", topic_there, servers, configuration=settings)

    @tf.function
    def write_in_a_graph(text):
        return kafka_io.write_kafka(text, topic_there, servers, configuration=settings)

    assert write_in_a_graph(tf.constant("1")).numpy() == b"1"
    sequence = kafka_io.KafkaOutputSequence(topic_there, servers, settings)
    sequence.setitem(0, "2")
    sequence.flush()
    records = tfio.IODataset.from_kafka(topic_there, servers=servers, configuration=settings)
    assert [item.message.numpy() for item in records] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("mechanism", [SCRAM, PLAIN])
def test_wrong_password_is_refused(secured_kafka, mechanism):
    alice = secured_kafka.client_configuration("alice", mechanism)
    wrong = alice | {"sasl.password": "wrong"}
    assert "Authentication failed" in refusal(secured_kafka, wrong)
    assert not answers_metadata(secured_kafka.secured_servers, 1, wrong)
    assert answers_metadata(secured_kafka.secured_servers, 10, alice)


def test_foreign_authority_is_not_trusted(secured_kafka, tmp_path):
    foreign = CertificateAuthority(tmp_path / "foreign")
    alice = secured_kafka.client_configuration("alice", SCRAM)
    reason = refusal(secured_kafka, alice | {"ssl.ca.location": str(foreign.certificate)})
    assert "certificate verify failed" in reason


def test_right_is_missing_then_granted_then_revoked(secured_kafka, topic_there):
    bob = secured_kafka.client_configuration("bob", SCRAM)
    assert write(secured_kafka, topic_there, bob) == "TOPIC_AUTHORIZATION_FAILED"
    secured_kafka.grant("bob", "WRITE", topic=topic_there)
    assert write(secured_kafka, topic_there, bob) is None
    alice = secured_kafka.client_configuration("alice", SCRAM)
    assert write(secured_kafka, topic_there, alice) == "TOPIC_AUTHORIZATION_FAILED"
    secured_kafka.revoke("bob", "WRITE", topic=topic_there)
    assert write(secured_kafka, topic_there, bob) == "TOPIC_AUTHORIZATION_FAILED"


def test_rights_on_groups_and_on_names_that_begin_alike(secured_kafka, topic_there):
    bob = secured_kafka.client_configuration("bob", PLAIN)
    secured_kafka.grant("bob", "ALL", topic=topic_there[:-3], prefix=True)
    assert write(secured_kafka, topic_there, bob) is None
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        read(secured_kafka, topic_there, topic_there, bob)
    secured_kafka.grant("bob", "READ", group="*")
    try:
        assert read(secured_kafka, topic_there, topic_there, bob) == b"value"
    finally:
        secured_kafka.revoke("bob", "READ", group="*")
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        read(secured_kafka, topic_there, topic_there, bob)


@pytest.mark.parametrize("on", [{"transactional_id": "t-1"}, {"cluster": True}])
def test_rights_on_transactions_and_the_cluster(secured_kafka, on):
    secured_kafka.grant("bob", "DESCRIBE", **on)
    secured_kafka.revoke("bob", "DESCRIBE", **on)
    with pytest.raises(BrokerError, match=r"cannot revoke the right of bob to DESCRIBE .*granted"):
        secured_kafka.revoke("bob", "DESCRIBE", **on)


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_change_whose_connection_was_dropped_is_made_again(
    secured_kafka, topic_there, monkeypatch, carried_out
):
    for name in ("create_acls", "delete_acls", "alter_user_scram_credentials"):
        drop_first(monkeypatch, name, carried_out)
    rights.store_passwords(secured_kafka.bootstrap_servers, SCRAM, {"of-a-change": "secret-1"})
    secured_kafka.grant("bob", "WRITE", topic=topic_there)
    bob = secured_kafka.client_configuration("bob", SCRAM)
    assert write(secured_kafka, topic_there, bob) is None
    secured_kafka.revoke("bob", "WRITE", topic=topic_there)
    assert write(secured_kafka, topic_there, bob) == "TOPIC_AUTHORIZATION_FAILED"


def test_who_uses_no_password_may_do_everything_and_is_on_loopback(secured_kafka, topic_there):
    admin = Admin(secured_kafka.bootstrap_servers)
    assert topic_there in admin.topics()
    assert secured_kafka.bootstrap_servers.startswith("127.0.0.1:")
    assert secured_kafka.secured_servers.startswith("127.0.0.1:")


def test_restart_keeps_users_rights_and_certificates(secured_kafka, topic_there):
    alice = secured_kafka.client_configuration("alice", SCRAM)
    secured_kafka.grant("alice", "WRITE", topic=topic_there)
    secured_kafka.kill()
    secured_kafka.restart()
    assert write(secured_kafka, topic_there, alice) is None
    bob = secured_kafka.client_configuration("bob", PLAIN)
    assert write(secured_kafka, topic_there, bob) == "TOPIC_AUTHORIZATION_FAILED"


def test_secrets_are_for_their_owner_alone(secured_kafka):
    home = secured_kafka.folder
    folders = [home.config, home.data, home.path / "certificates"]
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}
    files = [file for folder in (folders[0], folders[2]) for file in folder.iterdir()]
    assert len(files) >= 4
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    alice = secured_kafka.client_configuration("alice", PLAIN)
    assert str(alice["sasl.password"]) not in secured_kafka.logs() + repr(alice)


def test_certificate_names_the_user(make_broker, tmp_path):
    broker = make_broker("4.4.0", mechanisms=(), tls="mutual", acls=True)
    Admin(broker.bootstrap_servers).create_topic("topic")
    alice = broker.client_configuration("alice")
    assert write(broker, "topic", alice) == "TOPIC_AUTHORIZATION_FAILED"
    broker.grant("alice", "WRITE", topic="topic")
    assert write(broker, "topic", alice) is None
    bob = broker.client_configuration("bob")
    assert write(broker, "topic", bob) == "TOPIC_AUTHORIZATION_FAILED"
    nobody = {name: alice[name] for name in ("security.protocol", "ssl.ca.location")}
    assert not answers_metadata(broker.secured_servers, 1, nobody)
    foreign = CertificateAuthority(tmp_path / "foreign").client_settings("alice")
    assert not answers_metadata(broker.secured_servers, 1, alice | foreign)


def test_passwords_without_tls(make_broker):
    odd = "p a\"s's\\w=ö#;,$"
    broker = make_broker(
        "4.4.0", mechanisms=("SCRAM-SHA-256", "PLAIN"), tls=None, users={"alice": odd}
    )
    for mechanism in ("SCRAM-SHA-256", "PLAIN"):
        alice = broker.client_configuration("alice", mechanism)
        assert alice["security.protocol"] == "SASL_PLAINTEXT"
        assert answers_metadata(broker.secured_servers, 10, alice)
        assert not answers_metadata(broker.secured_servers, 1, alice | {"sasl.password": "p"})
    with pytest.raises(BrokerError, match="offers SCRAM-SHA-256, PLAIN, not 'SCRAM-SHA-512'"):
        broker.client_configuration("alice", SCRAM)
    with pytest.raises(BrokerError, match="has no user 'carol', but alice"):
        broker.client_configuration("carol", PLAIN)


def test_broker_without_security_has_no_users(secured_kafka):
    broker = embedded.attach(secured_kafka.folder.path)  # which knows no passwords
    for use in (
        lambda: broker.secured_servers,
        lambda: broker.client_configuration("alice"),
        lambda: broker.grant("alice", "READ", topic="t"),
    ):
        with pytest.raises(BrokerError, match="knows of no security: start it with security="):
            use()


def sees(address: str, topic: str, settings: Mapping[str, object]) -> bool:
    """Whether this broker, and no other, shows the topic."""
    client = AdminClient({**settings, "bootstrap.servers": address}, logger=SILENT)
    return client.list_topics(topic, timeout=10).topics[topic].error is None


def test_each_broker_of_a_cluster_asks_for_passwords_and_rights(tmp_path, record_property):
    security = Security((SCRAM, PLAIN), "server", {"alice": "secret-1"}, acls=True)
    began = time.monotonic()
    started = embedded.start_cluster(tmp_path, "4.4.0", security=security, progress=False)
    record_property("seconds until three secured brokers answer", time.monotonic() - began)
    foreign = CertificateAuthority(tmp_path / "foreign")
    with started as cluster:
        secured = cluster.secured_servers.split(",")
        alice = cluster.client_configuration("alice", SCRAM)
        Admin(cluster.bootstrap_servers).create_topic("topic", 1, replication_factor=3)
        leader = cluster.leader("topic", 0)  # all brokers know the topic then
        for address in secured:
            for mechanism in (SCRAM, PLAIN):
                right = cluster.client_configuration("alice", mechanism)
                assert answers_metadata(address, 10, right)
            assert not answers_metadata(address, 1, alice | {"sasl.password": "wrong"})
            untrusted = alice | {"ssl.ca.location": str(foreign.certificate)}
            assert not answers_metadata(address, 1, untrusted)
        assert [sees(address, "topic", alice) for address in secured] == [False] * 3
        cluster.grant("alice", "WRITE", topic="topic")
        assert [sees(address, "topic", alice) for address in secured] == [True] * 3
        cluster.kill(leader)
        assert write(cluster, "topic", alice) is None
        cluster.revoke("alice", "WRITE", topic="topic")
        cluster.restart(leader)
        assert [sees(address, "topic", alice) for address in secured] == [False] * 3
        cluster.grant("alice", "WRITE", topic="topic")
        assert [sees(address, "topic", alice) for address in secured] == [True] * 3
    assert len(secured) == 3


def test_old_kafka_has_no_security(tmp_path):
    with pytest.raises(BrokerError) as raised:
        embedded.start(tmp_path, "2.7.2", security=Security(users={"alice": "secret"}))
    assert str(raised.value) == (
        "security needs Kafka with KRaft, which 2.7.2 has not: "
        "use one of 3.9.2, 4.0.2, 4.1.2, 4.2.2, 4.3.1, 4.4.0"
    )
    assert not any(tmp_path.iterdir())
