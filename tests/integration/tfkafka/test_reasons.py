"""A line with address, reason and advice, within 3 s, whatever is wrong and whoever connects.

Machines are slow at times: what fails a test is a line that is missing or wrong, or that comes as
late as a time-out. The seconds are printed, and are properties of the tests.
"""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import tensorflow as tf
from confluent_kafka import KafkaError, KafkaException

from tests.faults.proxy import Proxy
from tests.integration.tfkafka.clients import (
    CLIENTS,
    EARLIEST,
    LIMITS,
    RECORDS,
    Failure,
    Target,
    attempt,
    check,
    exactly_once,
    group,
    mini_batch,
)
from tests.unit.client.listeners import HOST, Certificates, closing, http, kafka, server, ssh
from tfkafka import (
    Admin,
    KafkaGroupDataset,
    config,
    write,
)
from tfkafka.client.producer import Producer
from tfkafka.errors import (
    ConfigurationError,
    ReadError,
    TopicError,
    TransactionError,
    WriteError,
)
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import rights
from tfkafka.testing.brokers.embedded import EmbeddedBroker
from tfkafka.testing.brokers.security import Security
from tfkafka.tfio import kafka as tfio_kafka

AT_ONCE = 6
PASSWORD, OTHER_PASSWORD = "Pa55word-1", "Pa55word-2"
SCRAM = "SCRAM-SHA-512"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(kafka_factory) -> Iterator[EmbeddedBroker]:
    """Its users have no rights, but that `reader` may read the topic t."""
    users = dict.fromkeys(["owner", "reader", "changed"], PASSWORD)
    security = Security(mechanisms=(SCRAM, "PLAIN"), users=users, acls=True)
    broker = kafka_factory("3.9.2", progress=False, security=security)
    admin = Admin(broker.bootstrap_servers)
    for topic in ("t", "t-out"):
        admin.create_topic(topic, 2)
    write(broker.bootstrap_servers, "t", ["1,2"] * RECORDS, ["1"] * RECORDS, partition=0)
    broker.grant("reader", "READ", topic="t")
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def as_user(secured) -> Callable[..., Target]:
    """as_user(name, **options) -> where a user of the secured broker connects."""
    return lambda name, **options: Target(
        secured.secured_servers, dict(secured.client_configuration(name, SCRAM)), **options
    )


@pytest.fixture(scope="module")
def small_servers(certificates) -> Iterator[dict[str, str]]:
    """The addresses of servers that are no usable Kafka."""
    tls = {
        "expired": certificates.context(days=-1),
        "other-host": certificates.context("elsewhere.example"),
        "tls": certificates.context(),
        "mutual": certificates.context(mutual=True),
    }
    with contextlib.ExitStack() as stack:
        found = {
            name: stack.enter_context(server(answer))
            for name, answer in {"http": http, "ssh": ssh, "closing": closing}.items()
        }
        for name, context in tls.items():
            found[name] = stack.enter_context(server(kafka(), context))
        unused = stack.enter_context(socket.socket())
        unused.bind((HOST, 0))
        found["nobody"] = f"{HOST}:{unused.getsockname()[1]}"
        yield found


@pytest.fixture(scope="module")
def cases(small_servers, secured, certificates) -> dict[str, tuple[Target, str]]:
    """What is wrong: where, with which settings, and the words of the line."""
    small = {name: Target(address) for name, address in small_servers.items()}
    plain, sasl = secured.bootstrap_servers, secured.secured_servers
    right = dict(secured.client_configuration("owner", SCRAM))
    user = {name: value for name, value in right.items() if name.startswith("sasl.")}
    trusting = certificates.settings()

    def tls(name: str, **settings: str) -> Target:
        return Target(small_servers[name], {**trusting, **settings})

    return {
        "no listener": (small["nobody"], r"\(connection refused\): start a broker, or name"),
        "unknown host": (
            Target("no-such-host.invalid:9092"),
            # Name servers may be slow.
            r"is unknown\): correct the|is not resolved within 1 s\): check the name server",
        ),
        "HTTP": (small["http"], r"\(it speaks HTTP.*\): name the port of a Kafka listener"),
        "HTTP, with TLS": (tls("http"), r"\(it speaks HTTP.*\): name the port"),
        "SSH": (small["ssh"], r"\(it speaks another protocol \(b'SSH-2.0-'\).*\): name the port"),
        "closes": (small["closing"], r"\(it closes the connection.*\): name the port"),
        "plaintext to TLS": (small["tls"], r"\(it speaks TLS.*\): set security.protocol to SSL$"),
        "plaintext to SASL_SSL": (Target(sasl), r"\(it speaks TLS.*\): set .* SASL_SSL$"),
        "TLS to plaintext": (Target(plain, trusting), r"not speak TLS.*\): set .* to PLAINTEXT$"),
        "SASL to plaintext": (
            Target(plain, user | {"security.protocol": "SASL_PLAINTEXT"}),
            r"\(it has no SASL.*\): set security.protocol to PLAINTEXT$",
        ),
        "SASL_SSL to plaintext": (Target(plain, right), r"not speak TLS.*\): set .* PLAINTEXT$"),
        "expired": (tls("expired"), r"\(its certificate has expired\): renew it"),
        "other host": (tls("other-host"), r"\(its certificate is for another host.*\): use the"),
        "untrusted": (
            Target(small_servers["tls"], certificates.settings(authority="foreign-ca")),
            r"\(its certificate is not trusted.*\): set ssl.ca.location",
        ),
        "no CA": (
            Target(sasl, {k: v for k, v in right.items() if k != "ssl.ca.location"}),
            r"\(its certificate is not trusted.*\): set ssl.ca.location",
        ),
        "no client certificate": (
            tls("mutual"),
            r"\(it requires a certificate of the client.*\): set ssl.certificate.location",
        ),
        "foreign client certificate": (
            Target(small_servers["mutual"], certificates.settings("foreign")),
            r"\(it refuses the client's certificate\): set ssl.certificate.location",
        ),
        "wrong password": (
            Target(sasl, right | {"sasl.password": OTHER_PASSWORD}),
            r"\(SASL authentication error.*\): check sasl.username and sasl.password$",
        ),
        "wrong password, PLAIN": (
            Target(sasl, right | {"sasl.mechanism": "PLAIN", "sasl.password": OTHER_PASSWORD}),
            r"\(SASL authentication error.*\): check sasl.username and sasl.password$",
        ),
        "mechanism": (
            Target(sasl, right | {"sasl.mechanism": "SCRAM-SHA-256"}),
            r"SCRAM-SHA-256.*SCRAM-SHA-512",
        ),
    }


@pytest.mark.parametrize("name", [*CLIENTS, "learn"])
def test_no_connection(cases, learner, record_property, name):
    client, kind = CLIENTS.get(name, (learner, ReadError))
    attempt(client, cases["SSH"][0])  # what TensorFlow does first takes its time
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = pool.map(lambda case: attempt(client, case[0]), cases.values())
        found = dict(zip(cases, failures, strict=True))
    seconds = {case: round(failure.seconds, 2) for case, failure in found.items()}
    record_property("seconds to the reason", json.dumps({name: seconds}))
    worst = max(seconds, key=seconds.__getitem__)
    print(f"{name}: {seconds[worst]} s at most ({worst}): {seconds}")
    for case, (target, words) in cases.items():
        check(found[case], kind, words, target.servers)
    # A client that nobody has closed tries to connect until it is destroyed.
    gc.collect()


@pytest.mark.parametrize("name", [*CLIENTS, "learn"])
def test_brokers_that_are_not_where_they_say(kafka, topic, group, learner, small_servers, name):
    client, kind = CLIENTS.get(name, (learner, ReadError))
    write(kafka.bootstrap_servers, topic, ["1,2"])
    proxy, wrong = Proxy(kafka.bootstrap_servers), small_servers["nobody"]
    proxy.advertise(int(wrong.rpartition(":")[2]))
    failure = attempt(client, Target(proxy.bootstrap_servers, topic=topic, group=group))
    proxy.close()
    words = rf"advertises its brokers at {wrong} \(connection refused\): correct advertised\.list"
    check(failure, kind, words, proxy.bootstrap_servers)
    print(f"{name}: {failure.seconds:.2f} s")


def test_brokers_with_passwords_that_are_not_where_they_say(kafka_factory, learner, small_servers):
    """Brokers say where they are only to a client that has logged in."""
    security = Security(mechanisms=(SCRAM,), tls=None, users={"me": PASSWORD})
    broker, wrong = (
        kafka_factory("3.9.2", progress=False, security=security),
        small_servers["nobody"],
    )
    for topic in ("t", "t-out"):
        Admin(broker.bootstrap_servers).create_topic(topic)
    proxy = Proxy(broker.secured_servers)
    proxy.advertise(int(wrong.rpartition(":")[2]))
    target = Target(proxy.bootstrap_servers, dict(broker.client_configuration("me", SCRAM)))
    words = rf"advertises its brokers at {wrong} \(connection refused\): correct advertised\.list"
    clients = {**CLIENTS, "learn": (learner, ReadError)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = list(pool.map(lambda each: attempt(each[0], target), clients.values()))
    proxy.close()
    broker.stop()
    print({name: round(each.seconds, 2) for name, each in zip(clients, failures, strict=True)})
    for (_, kind), failure in zip(clients.values(), failures, strict=True):
        check(failure, kind, words, proxy.bootstrap_servers)


BAD_ADDRESSES = {"127.0.0.1": "no port", "http://127.0.0.1:1": "HOST:PORT alone"}


@pytest.mark.parametrize("name", [*CLIENTS, "learn"])
def test_what_is_no_address(learner, name):
    client, _ = CLIENTS.get(name, (learner, ReadError))
    for servers, words in BAD_ADDRESSES.items():
        if name == "tfio.kafka.KafkaDataset" and servers == "127.0.0.1":
            continue  # as in tensorflow-io, the port is 9092
        words = "bootstrap.servers.*" + words
        check(attempt(client, Target(servers)), ConfigurationError, words, None)


def test_the_default_address_is_named(monkeypatch, small_servers, learner):
    default = small_servers["nobody"]
    monkeypatch.setattr(config, "DEFAULT_SERVERS", default)
    words = rf"\(connection refused\): give servers=HOST:PORT; {default} is the default$"
    clients = [*CLIENTS.values(), (learner, ReadError)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = pool.map(lambda each: attempt(each[0], Target(None)), clients)
        for (_, kind), failure in zip(clients, failures, strict=True):
            check(failure, kind, words, default)


@pytest.mark.parametrize("name", [*CLIENTS, "learn"])
def test_what_is_no_topic_name(small_servers, learner, name):
    """Nobody needs to be asked."""
    client, _ = CLIENTS.get(name, (learner, ReadError))
    target = Target(small_servers["nobody"], topic="name with blank")
    check(attempt(client, target), TopicError, "'name with blank' is no topic name: a name", None)


def test_a_single_record_of_tensorflow_io(small_servers):
    address = small_servers["nobody"]
    failure = attempt(lambda _: tfio_kafka.write_kafka("1", "t", address), Target(address))
    check(failure, WriteError, r"\(connection refused\): start a broker", address)


@pytest.mark.parametrize(
    ("client", "kind"),
    [(group, ReadError), (mini_batch, ReadError), (exactly_once, TransactionError)],
)
@pytest.mark.parametrize("version", ["3.9.2"])
def test_a_broker_without_the_new_group_protocol(embedded_kafka, version, client, kind, group):
    broker = embedded_kafka(version)
    admin = Admin(broker.bootstrap_servers)
    for name in {"t", "t-out"} - set(admin.topics()):
        admin.create_topic(name)
    target = Target(broker.bootstrap_servers, {"group.protocol": "consumer"}, group=group)
    words = r"does not support group\.protocol=consumer: leave the setting out"
    check(attempt(client, target), kind, words, broker.bootstrap_servers)


def test_a_missing_topic_of_a_group(kafka, group):
    target = Target(kafka.bootstrap_servers, topic="no-such-topic", group=group)
    dataset = KafkaGroupDataset(target.topic, group, target.servers, 0, **LIMITS)
    with pytest.raises(tf.errors.OpError) as raised:
        list(dataset)
    line = f"there is no topic no-such-topic on {target.servers}: create it first"
    assert str(dataset.error) == line
    # TensorFlow's own lines around it.
    assert line in str(raised.value) and str(raised.value).count("\n") < 25


def test_a_right_that_was_missing_before_the_first_record_is_named(as_user):
    """The client cannot be used by then, and says only that."""
    at = as_user("reader")
    producer = Producer({"bootstrap.servers": at.servers, **at.settings})
    producer.connect("t")

    def is_refused() -> bool:
        try:
            producer._producer.produce("t", "v")
        except KafkaException as error:
            return error.args[0].code() == KafkaError._FATAL
        return False

    wait_for(is_refused, "the refusal of the producer's id", 60)
    with pytest.raises(WriteError, match=r"grant this user WRITE on topic t"):
        producer.send("t", [[("v", None, None)]])


def test_a_password_that_is_changed_while_reading(secured, as_user):
    """The broker restarts, and the reader has to prove again who it is."""
    secured.grant("changed", "READ", topic="t")
    secured.grant("changed", "READ", group="g-changed")
    at = as_user("changed", group="g-changed")
    dataset = KafkaGroupDataset("t", at.group, at.servers, -1, at.settings | EARLIEST, **LIMITS)
    seen: list[object] = []
    failures: list[Failure] = []

    def reading(_at: Target) -> int:
        try:
            for message, _ in dataset:
                seen.append(message)
        except tf.errors.OpError:
            raise dataset.error from None
        return len(seen)

    reader = threading.Thread(target=lambda: failures.append(attempt(reading, at)))
    reader.start()
    wait_for(lambda: len(seen) == RECORDS, "all records")
    rights.store_passwords(secured.bootstrap_servers, SCRAM, {"changed": OTHER_PASSWORD})
    secured.kill()
    secured.restart()
    reader.join()
    words = r"\(SASL authentication error.*\): check sasl.username and sasl.password$"
    check(replace(failures[0], seconds=0.0), ReadError, words, at.servers)
