"""When a client gives up its connection, and with which words; nothing is connected to here."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.unit.client.listeners import HEARTBEAT, http, server
from tfkafka.client import codes, diagnosis
from tfkafka.client.diagnosis import (
    RESTART_S,
    Connection,
    NoConnection,
    is_final,
    is_unauthorized,
    shortened,
    with_right,
)
from tfkafka.client.names import Address
from tfkafka.client.probe import Listener, Problem
from tfkafka.errors import ReadError
from tfkafka.testing import wait_for

BROKER = Listener({HEARTBEAT: 1}, None)
REFUSED = Problem("connection refused", "start a broker, or name the right address", may_pass=True)
EXPIRED = Problem("its certificate has expired", "renew it")
DOWN = KafkaError(KafkaError._TRANSPORT, "h:1/bootstrap: Connect failed (after 3ms in state INIT)")
WRONG = "sasl_ssl://h:1/bootstrap: SASL authentication error: wrong (after 12ms in state AUTH_REQ)"
PASSWORD = KafkaError(KafkaError._AUTHENTICATION, WRONG)
SECURED = {"sasl.mechanism": "PLAIN", "sasl.username": "me", "sasl.password": "Pa55word"}


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(diagnosis, "time", clock)
    return clock


@pytest.fixture
def there(monkeypatch) -> dict[str, Listener | Problem | None]:
    """What a probe finds at each address; it is found at once."""
    there: dict[str, Listener | Problem | None] = {}

    def probed(address: Address, _settings: object) -> Future[Listener | None]:
        future: Future[Listener | None] = Future()
        found = there[str(address)]
        if isinstance(found, Problem):
            future.set_exception(found)
        else:
            future.set_result(found)
        return future

    monkeypatch.setattr(diagnosis, "_probe_soon", probed)
    return there


@pytest.fixture
def wait(clock) -> Callable[[Connection, float], None]:
    """wait(connection, seconds): what a client does that gets no answer."""

    def waited(connection: Connection, seconds: float) -> None:
        end = clock.now + seconds
        while clock.now < end:
            connection.check()
            clock.now += 0.05

    return waited


def connection(servers: str = "h:1", **options) -> Connection:
    return Connection({"bootstrap.servers": servers, **SECURED}, **options)


def test_a_port_without_a_listener_is_given_a_moment(there, wait, clock):
    there["h:1"] = REFUSED
    first = connection()
    first.note(DOWN)
    wait(first, RESTART_S - 0.1)
    with pytest.raises(NoConnection) as raised:
        wait(first, 1)
    assert str(raised.value) == (
        "no connection to Kafka at h:1 (connection refused): "
        "start a broker, or name the right address"
    )
    assert clock.now < 100 + RESTART_S + 0.2


def test_a_service_that_restarts_is_waited_for(there, wait):
    there["h:1"] = REFUSED
    first = connection()
    first.note(DOWN)
    wait(first, RESTART_S - 0.3)
    there["h:1"] = BROKER
    wait(first, 60)
    first.answered()
    there["h:1"] = REFUSED
    first.note(DOWN)
    wait(first, 60)
    assert first.reason() == "h:1 (connection refused): start a broker, or name the right address"


def test_what_never_passes_is_raised_at_once(there, wait, clock):
    there["h:1"] = EXPIRED
    first = connection()
    first.note(DOWN)
    with pytest.raises(NoConnection, match=r"at h:1 \(its certificate has expired\): renew it$"):
        wait(first, 1)
    assert clock.now < 100.3


def test_a_connection_that_librdkafka_says_nothing_of_is_looked_at(there, wait, clock):
    there["h:1"] = EXPIRED
    with pytest.raises(NoConnection, match="expired"):
        wait(connection(), 3)
    assert 100.7 < clock.now < 101


def test_a_silent_broker_is_waited_for(there, wait):
    there["h:1"] = None
    first = connection()
    wait(first, 60)
    assert first.reason() == "connections are accepted, and nothing is answered"


def test_one_usable_address_is_enough(there, wait):
    there |= {"a:1": REFUSED, "b:1": EXPIRED, "c:1": BROKER}
    wait(connection("a:1,b:1,c:1"), 10)
    there["c:1"] = REFUSED
    with pytest.raises(NoConnection) as raised:
        wait(connection("a:1,b:1,c:1"), 10)
    assert str(raised.value) == (
        "no connection to Kafka at a:1, c:1 (connection refused): start a broker, or name the "
        "right address; b:1 (its certificate has expired): renew it"
    )


def test_hopeless_is_where_no_address_is_usable(there, wait):
    there |= {"a:1": REFUSED, "b:1": REFUSED}
    first = connection("a:1,b:1", was_reached=True)
    assert not first.is_hopeless()
    wait(first, 3)
    assert first.is_hopeless()
    there["b:1"] = BROKER
    wait(first, 3)
    assert not first.is_hopeless()


def test_a_cluster_that_another_client_reached_is_waited_for(there, wait):
    there["h:1"] = REFUSED
    again = connection(was_reached=True)
    again.note(DOWN)
    wait(again, 60)


def test_who_comes_back_later_waits_again(there, wait, clock):
    there["h:1"] = REFUSED
    first = connection()
    first.note(DOWN)
    wait(first, 1)
    clock.now += 60
    wait(first, RESTART_S - 0.1)
    with pytest.raises(NoConnection):
        wait(first, 1)


def test_the_default_address_is_named(there, wait):
    there["localhost:9092"] = REFUSED
    with pytest.raises(NoConnection, match="give servers=HOST:PORT; localhost:9092 is the default"):
        wait(Connection({}), 10)


@pytest.mark.parametrize("was_reached", [False, True])
def test_wrong_credentials(there, wait, clock, was_reached):
    there["h:1"] = BROKER
    first = connection(was_reached=was_reached)
    wait(first, 5)
    began = clock.now
    first.note(PASSWORD)
    with pytest.raises(NoConnection) as raised:
        wait(first, 1)
    assert str(raised.value) == (
        "no connection to Kafka at h:1 (SASL authentication error: wrong): "
        "check sasl.username and sasl.password"
    )
    assert clock.now < began + 0.6
    first.answered()
    wait(first, 10)


def test_credentials_without_a_password(there, wait):
    there["h:1"] = BROKER
    first = Connection({"bootstrap.servers": "h:1", "sasl.mechanism": "OAUTHBEARER"})
    first.note(KafkaError(KafkaError._AUTHENTICATION, "Failed to acquire a token:\n 401"))
    with pytest.raises(NoConnection, match=r"at h:1 \(Failed to .* 401\): check the settings sasl"):
        wait(first, 1)


TOKEN = KafkaError(
    KafkaError._AUTHENTICATION,
    'sasl_ssl://h:1/1: SASL authentication error: {"status":"invalid_token"} (after 3ms)',
)


@pytest.mark.parametrize("was_reached", [False, True])
def test_a_refused_token(there, wait, clock, was_reached):
    """Kafka refuses the first token with a new key of the provider, whatever it is."""
    there["h:1"] = BROKER
    first = connection(was_reached=was_reached)
    first.note(TOKEN)
    wait(first, 0.7)
    first.note(TOKEN)
    with pytest.raises(NoConnection) as raised:
        wait(first, 0.2)
    assert str(raised.value) == (
        "no connection to Kafka at h:1 (it refuses the token: invalid_token): check its signature, "
        "issuer, audience and end; the broker's log says which is wrong"
    )
    second = connection(was_reached=was_reached)
    second.note(TOKEN)
    wait(second, 0.7)
    second.answered()
    wait(second, 5)


def test_a_token_that_has_ended(there, wait):
    there["h:1"] = BROKER
    words = "Failed to acquire a token: Must supply an unexpired token: now=61500ms, exp=1000ms"
    first = connection()
    first.note(KafkaError(KafkaError._AUTHENTICATION, words))
    with pytest.raises(NoConnection) as raised:
        wait(first, 0.5)
    assert str(raised.value) == (
        "no connection to Kafka at h:1 (the provider's token has ended 60 s ago): check the clocks "
        "of this machine and of the provider"
    )


def test_certificates(there, wait):
    """Of an address that only metadata named, or of one of several."""
    failed = KafkaError(KafkaError._SSL, "ssl://b:1/2: SSL handshake failed: no")
    there |= {"h:1": BROKER, "b:1": EXPIRED}
    first = connection()
    first.note(failed)
    wait(first, 10)
    later = connection(was_reached=True)
    later.note(failed)
    with pytest.raises(NoConnection, match=r"at b:1 \(SSL handshake failed: no\): check .* ssl"):
        wait(later, 1)
    there["h:1"] = EXPIRED
    with pytest.raises(NoConnection, match=r"at h:1, b:1 \(its certificate has expired\)"):
        wait(first, 1)


def test_a_late_probe_of_a_certificate_is_repeated(there, wait, clock):
    there["h:1"] = None
    first = connection()
    first.note(KafkaError(KafkaError._SSL, "ssl://h:1/bootstrap: SSL handshake failed: no"))
    wait(first, 0.5)
    there["h:1"] = EXPIRED
    with pytest.raises(NoConnection, match="expired"):
        wait(first, RESTART_S)
    there["h:1"] = None
    second = connection()
    second.note(KafkaError(KafkaError._SSL, "ssl://h:1/bootstrap: SSL handshake failed: no"))
    with pytest.raises(NoConnection, match=r"at h:1 \(SSL handshake failed: no\)"):
        wait(second, RESTART_S + 1)


def test_new_groups_need_new_brokers(there, wait):
    for newest in (0, -1):
        there["h:1"] = Listener({HEARTBEAT: newest} if newest >= 0 else {}, None)
        member = connection()
        member.require_new_groups()
        with pytest.raises(NoConnection, match=r"h:1 does not support group\.protocol=consumer"):
            wait(member, 1)
    there["h:1"] = BROKER
    member = connection()
    member.require_new_groups()
    wait(member, 10)


def test_waiting_for_an_answer(there):
    there["h:1"] = EXPIRED
    first = connection()
    done: Future[int] = Future()
    done.set_result(7)
    assert first.wait(done, 1.0, lambda _: None) == 7
    with pytest.raises(TimeoutError):
        first.wait(Future(), 0.1, lambda _: None)
    with pytest.raises(NoConnection, match="expired"):
        first.wait(Future(), 60.0, lambda _: first.note(DOWN))


def test_an_answer_that_comes_when_its_wait_is_over(there):
    class Late(Future[int]):
        def result(self, timeout: float | None = None) -> int:
            if self.done():
                return super().result(timeout)
            self.set_result(7)
            raise TimeoutError

    assert connection().wait(Late(), 60.0, lambda _: None) == 7


def test_a_real_probe():
    with server(http) as address:
        first = Connection({"bootstrap.servers": address})
        first.note(DOWN)

        def given_up() -> str:
            try:
                first.check()
            except NoConnection as failure:
                return str(failure)
            return ""

        line = wait_for(given_up, "the reason")
    assert line.startswith(f"no connection to Kafka at {address} (it speaks HTTP")


def raised_from(cause: BaseException) -> ReadError:
    error = ReadError("why")
    error.__cause__ = cause
    return error


def test_what_is_final():
    assert is_final(raised_from(NoConnection("why")))
    for code in codes.REFUSED | codes.UNAUTHORIZED:
        assert is_final(raised_from(KafkaException(KafkaError(code))))
        is_right = code in codes.UNAUTHORIZED
        assert is_unauthorized(raised_from(KafkaException(KafkaError(code)))) == is_right
    for code in codes.TRANSIENT | codes.MISSING:
        assert not is_final(raised_from(KafkaException(KafkaError(code))))
    assert not is_final(ReadError("why")) and not is_unauthorized(ReadError("why"))


@pytest.mark.parametrize(
    ("code", "operation", "words"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "READ", "no: grant this user READ on topic t"),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, "CREATE", "no: grant this user CREATE on the c"),
        (
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            "WRITE",
            "no: grant .* WRITE on topic t, and bef",
        ),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "READ", r"Broker: no \(after"),
    ],
)
def test_rights(code, operation, words):
    error = KafkaError(code, "Broker: no (after 54 ms).")
    assert re.match(words, with_right(error, operation, "topic t"))


def test_words_of_librdkafka_are_one_line():
    text = "h:1/1: Failed:\n why (after 3ms in state UP, 2 identical error(s) suppressed)."
    assert shortened(KafkaError(KafkaError._FAIL, text)) == "h:1/1: Failed: why"


@pytest.mark.parametrize("answers", [False, True])
def test_brokers_that_are_not_where_they_say(there, wait, clock, answers):
    """Also where a broker answers at the address that is given."""
    told = Listener({}, None, (Address("a", 1), Address("b", 1)))
    there |= {"h:1": told, "a:1": REFUSED, "b:1": REFUSED}
    first = connection()
    with pytest.raises(NoConnection) as raised:
        for _ in range(5):
            wait(first, 0.7)
            if answers:
                first.answered(is_first=True)
    assert str(raised.value) == (
        "Kafka at h:1 advertises its brokers at a:1, b:1 (connection refused): correct "
        "advertised.listeners of the brokers, or make this address reachable from here"
    )
    assert 101 < clock.now < 102.3


@pytest.mark.parametrize("broker", ["h:1", "a:1"])
def test_one_broker_that_is_where_it_says_is_enough(there, wait, broker):
    places = tuple(Address(each, 1) for each in "hab")
    there |= {"h:1": Listener({}, None, places), "a:1": REFUSED, "b:1": REFUSED}
    there[broker] = Listener({}, None, places)
    first = connection()
    wait(first, 60)
    there |= {"a:1": REFUSED}
    wait(first, 60)


def test_a_broker_that_was_reached_where_it_says_is_waited_for(there, wait):
    there |= {"h:1": Listener({}, None, (Address("a", 1),)), "a:1": REFUSED}
    first = connection()
    first.answered()
    wait(first, 60)
    wait(connection(was_reached=True), 60)


def test_a_cluster_that_starts_meanwhile_is_used(there, wait):
    there |= {"h:1": Listener({}, None, (Address("a", 1),)), "a:1": REFUSED}
    first = connection()
    wait(first, 1.0)
    there["a:1"] = BROKER
    wait(first, 60)


SASL = Listener({}, ("PLAIN",))
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "2/2 brokers are down")


def unreached(place: str) -> KafkaError:
    return KafkaError(KafkaError._TRANSPORT, f"sasl_ssl://{place}: Connect to ipv4#a:1 failed: no")


def test_where_brokers_are_that_tell_it_to_their_users_alone(there, wait, clock):
    there |= {"h:1": SASL, "a:1": REFUSED}
    first = connection()
    first.note(unreached("a:1/0"))
    first.note(ALL_DOWN)
    with pytest.raises(NoConnection) as raised:
        wait(first, 5)
    assert str(raised.value).startswith("Kafka at h:1 advertises its brokers at a:1 (connection re")
    assert 101 < clock.now < 102


def test_brokers_that_are_missed_late(there, wait, clock):
    """To log in may take its time."""
    there |= {"h:1": SASL, "a:1": REFUSED}
    first = connection()
    wait(first, 10)
    first.note(unreached("a:1/0"))
    first.note(ALL_DOWN)
    with pytest.raises(NoConnection, match="advertises its brokers at a:1"):
        wait(first, 1)


@pytest.mark.parametrize("notes", [("a:1/0",), (None, "a:1/0"), ("h:1/bootstrap", None)])
def test_one_of_several_brokers_with_passwords_may_be_away(there, wait, notes):
    """Those that were given were down while the cluster started; the other one is not tried yet."""
    there |= {"h:1": SASL, "a:1": REFUSED}
    first = connection()
    for note in notes:
        first.note(ALL_DOWN if note is None else unreached(note))
    wait(first, 60)
    first.note(ALL_DOWN)
    there["a:1"] = SASL
    wait(first, 60)
