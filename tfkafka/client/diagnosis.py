"""Why a client has no connection to its cluster, and which right it lacks, each in one line.

librdkafka tries to connect forever, and says little of why it fails. So while a client waits for a
first answer, the addresses are probed in the background. A broker that is silent, or that has
answered before, may come back: it is waited for. Wrong credentials, certificates and rights stay
wrong: they are reported at once.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer

from tfkafka import config
from tfkafka._util.background import in_background
from tfkafka.client import codes
from tfkafka.client.names import Address, parse_addresses
from tfkafka.client.oauth import fault_of_token, is_refused
from tfkafka.client.probe import CONSUMER_GROUP_HEARTBEAT, Listener, Problem, probe

Answer = TypeVar("Answer")

# A service that restarts refuses connections for a moment.
RESTART_S = 1.5
# Kafka refuses the first token with a provider's new key, and only then reads the keys again.
_NEW_KEY_S = 0.8
# From then on an answer is late, even if librdkafka has reported no error: the first one, and any
# other. A consumer without records asks its broker every second.
_FIRST_LATE_S = 0.7
_LATE_S = 1.5
_PROBE_AGAIN_S = 0.5
# From then on it counts where brokers say that they are. To look takes another half a second.
_TOLD_S = 1.0
# Whoever has not waited for this long begins to wait again.
_PAUSE_S = 3.0
_LOOK_S = 0.05

_ADVERTISED = (
    "correct advertised.listeners of the brokers, or make this address reachable from here"
)

# What librdkafka adds to a message: "sasl_ssl://host:9092/1: ", and "(after 3ms in state UP)".
_PLACE = re.compile(r"^(?:\w+://)?(?P<address>[^\s/]+:\d+)/(?P<broker>\w+): ")
_TIMES = re.compile(r" \(after \d+ ?ms(?:[^()]|\(s\))*\)")

_CREDENTIALS = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})


class NoConnection(Exception):
    """A client has no connection, and waiting will not help; the message is one line."""


class Connection:
    """What is known of a client's connection to its cluster. Several threads may use it.

    Args:
        settings: the client's settings.
        was_reached: whether the cluster has answered another client of the same user before, so
            that brokers that do not answer are taken for ones that restart.
    """

    def __init__(self, settings: Mapping[str, object], was_reached: bool = False):
        self._settings = dict(settings)
        self._servers = settings.get("bootstrap.servers", config.DEFAULT_SERVERS)
        self._was_reached = was_reached
        self._needs_heartbeat = False
        self._lock = threading.RLock()
        self._error: KafkaError | None = None
        self._refusal: KafkaError | None = None
        self._refused_s = 0.0
        self._since_s: float | None = None
        self._checked_s = 0.0
        self._round: _Round | None = None
        self._last: _Round | None = None
        self._advertised = _Advertised(self._settings, self._addresses(), was_reached)

    def note(self, error: KafkaError) -> None:
        """Note an error of the client: its `error_cb`."""
        with self._lock:
            self._error = error
            self._advertised.note(error)
            if error.code() in codes.REFUSED and self._refusal is None:
                self._refusal, self._refused_s = error, time.monotonic()

    def answered(self, is_first: bool = False) -> None:
        """Note that a broker has answered.

        Args:
            is_first: whether the answer may be that of an address that was given: it does not mean
                that brokers are reached where they say that they are.
        """
        with self._lock:
            self._advertised.is_reached |= not is_first
            self._was_reached = True
            self._error = self._refusal = self._since_s = self._last = None

    def require_new_groups(self) -> None:
        """Note that the client needs brokers with `group.protocol=consumer`."""
        self._needs_heartbeat = True

    def check(self) -> None:
        """Raise NoConnection where waiting does not help. Call it often while waiting."""
        now = time.monotonic()
        with self._lock:
            if self._since_s is None or now - self._checked_s > _PAUSE_S:
                self._since_s = now
            self._checked_s = now
            self._advertised.check(now, self._last)
            self._probe(now, self._since_s)
            if self._refusal is not None:
                self._check_refusal(self._refusal)
            elif self._last is not None and self._last.began_s >= self._since_s:
                self._check_probes(self._last, self._last.done_s - self._since_s)

    def wait(
        self, future: Future[Answer], timeout_s: float, serve: Callable[[float], object]
    ) -> Answer:
        """Return a future's result. Raises TimeoutError, NoConnection, or what the future raises.

        Args:
            serve: `poll` of the client, which calls `note`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                return future.result(max(0.0, min(_LOOK_S, left)))
            except TimeoutError:
                # It may have ended since, or its own end is a TimeoutError.
                if future.done():
                    return future.result()
                if left <= 0:
                    raise
            serve(0)
            self.check()

    def is_token_refused(self) -> bool:
        """Return whether a broker has refused the client's token, and none has answered since."""
        with self._lock:
            return self._refusal is not None and is_refused(self._refusal)

    def is_hopeless(self) -> bool:
        """Return whether no address could be used when they were probed last."""
        with self._lock:
            return self._last is not None and len(self._last.problems()) == len(self._last)

    def reason(self, said: str = "no answer") -> str:
        """Return the best known reason why there is no answer; `said` where there is none."""
        with self._lock:
            if self._last is not None:
                if problems := self._last.problems():
                    return joined(problems)
                if self._error is None and self._last.is_silent():
                    return "connections are accepted, and nothing is answered"
            return said if self._error is None else shortened(self._error)

    def _probe(self, now: float, since_s: float) -> None:
        if self._round is not None:
            if self._round.is_done():
                self._last, self._round = self._round, None
            return
        late_s = _LATE_S if self._was_reached else _FIRST_LATE_S
        is_late = self._error is not None or self._needs_heartbeat or now - since_s > late_s
        is_late |= self._advertised.is_late(now)
        last_s = -1.0 if self._last is None else self._last.done_s
        is_due = last_s < since_s or last_s < since_s + RESTART_S <= now
        if is_late and (is_due or now - last_s > _PROBE_AGAIN_S):
            self._round = _Round(self._addresses(), self._settings)

    def _addresses(self) -> list[Address]:
        """Return the addresses that are given, and the one that refuses this client."""
        found = parse_addresses(self._servers)
        if self._refusal is not None:
            place = _PLACE.match(self._refusal.str())
            found += parse_addresses(place["address"]) if place else []
        return list(dict.fromkeys(found))

    def _check_refusal(self, refusal: KafkaError) -> None:
        seen = self._last
        if seen is None or seen.began_s < self._refused_s:
            return
        problems = seen.problems()
        if problems and (len(problems) == len(seen) or refusal.code() != KafkaError._SSL):
            raise NoConnection(_line(problems))
        refused_for_s = time.monotonic() - self._refused_s
        is_late = refused_for_s > RESTART_S
        if is_refused(refusal) and refused_for_s < _NEW_KEY_S:
            return
        if refusal.code() == KafkaError._SSL and seen.is_silent() and not is_late:
            return  # a further probe may say what is wrong with the certificate
        # A client needs only one of its brokers for its first answer.
        is_about_one = refusal.code() == KafkaError._SSL and not self._was_reached
        if not (is_about_one and seen.has_listener()):
            raise NoConnection(_refused(refusal, self._servers, self._settings))

    def _check_probes(self, seen: _Round, waited_s: float) -> None:
        if self._needs_heartbeat and seen.lacks(CONSUMER_GROUP_HEARTBEAT, 1):
            # librdkafka sends version 1 alone: seen with 2.16, which waits forever otherwise.
            raise NoConnection(
                f"Kafka at {self._servers} does not support group.protocol=consumer: leave the "
                f"setting out, or use Kafka 4.0 or newer"
            )
        if seen.has_listener():
            self._needs_heartbeat = False
        problems = seen.problems()
        if self._was_reached or len(problems) < len(seen):
            return
        is_final = not any(problem.may_pass for problem in problems.values())
        if is_final or waited_s >= RESTART_S:
            raise NoConnection(_line(problems))


class _Advertised:
    """Whether brokers are reached at the addresses that they advertise.

    A client asks at the addresses that it is given where the brokers are, and connects there. Where
    these addresses are wrong, librdkafka tries forever.
    """

    def __init__(self, settings: Mapping[str, object], given: list[Address], is_reached: bool):
        self._settings, self._given = settings, given
        self.is_reached: bool = is_reached
        self._since_s: float | None = None
        self._round: _Round | None = None
        # A listener with SASL says it to its users alone: librdkafka's errors name the addresses.
        self._is_hidden = False
        self._failed: dict[Address, None] = {}
        self._unreached: list[Address] = []

    def note(self, error: KafkaError) -> None:
        """Note an error of the client, which may be about a broker where it says that it is."""
        place = _PLACE.match(error.str())
        if place is not None and place["broker"].isdecimal():
            self._failed.update(dict.fromkeys(parse_addresses(place["address"])))
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            # Those that it has not tried yet do not count as down.
            self._unreached = list(self._failed)

    def check(self, now: float, seen: _Round | None) -> None:
        """Raise NoConnection where none of the brokers is where it says.

        A broker that restarts looks the same for a moment: what it says counts after that time.

        Args:
            seen: what was seen last at the addresses that are given.
        """
        if self._since_s is None:
            self._since_s = now
        if self.is_reached:
            return
        if self._round is not None:
            if self._round.is_done():
                self._judge(self._round)
                self._round = None
        elif seen is not None and seen.began_s > self._since_s + _TOLD_S and seen.has_listener():
            brokers = seen.brokers()
            self._is_hidden = not brokers
            brokers = brokers or self._unreached
            if set(brokers) - set(self._given):
                self._round = _Round(brokers, self._settings)
            else:
                self.is_reached = not self._is_hidden

    def is_late(self, now: float) -> bool:
        """Return whether the brokers should have been reached by now."""
        if self.is_reached or self._since_s is None or now < self._since_s + _TOLD_S:
            return False
        return not self._is_hidden or bool(self._unreached)

    def _judge(self, seen: _Round) -> None:
        problems = seen.problems()
        self.is_reached = len(problems) < len(seen)
        if not self.is_reached:
            given = ", ".join(map(str, self._given))
            where = joined(problems, _ADVERTISED)
            raise NoConnection(f"Kafka at {given} advertises its brokers at {where}")


class _Round:
    """One probe of each address, in the background."""

    def __init__(self, addresses: list[Address], settings: Mapping[str, object]):
        self.began_s: float = time.monotonic()
        self.done_s: float = self.began_s
        self._probes = {each: _probe_soon(each, settings) for each in addresses}
        for future in self._probes.values():
            future.add_done_callback(self._note_time)

    def __len__(self) -> int:
        return len(self._probes)

    def _note_time(self, _future: Future[Listener | None]) -> None:
        self.done_s = time.monotonic()

    def is_done(self) -> bool:
        return all(future.done() for future in self._probes.values())

    def problems(self) -> dict[Address, Problem]:
        """Return the addresses that cannot be used, and why."""
        found = {address: future.exception() for address, future in self._probes.items()}
        return {a: problem for a, problem in found.items() if isinstance(problem, Problem)}

    def has_listener(self) -> bool:
        return any(self._listeners())

    def is_silent(self) -> bool:
        return not self.problems() and not self.has_listener()

    def brokers(self) -> list[Address]:
        """Return where the brokers say that they are."""
        return list(dict.fromkeys(each for found in self._listeners() for each in found.brokers))

    def lacks(self, request: int, version: int) -> bool:
        """Return whether a broker does not know this version of a request."""
        return any(each.requests.get(request, -1) < version for each in self._listeners())

    def _listeners(self) -> list[Listener]:
        done = [f.result() for f in self._probes.values() if f.exception() is None]
        return [listener for listener in done if listener is not None]


def _probe_soon(address: Address, settings: Mapping[str, object]) -> Future[Listener | None]:
    return in_background(lambda: probe(address, settings))


def fatal_error(producer: Producer, timeout_s: float) -> KafkaError | None:
    """Call a producer's callbacks, and return what has made it unusable, if it has just become so.

    confluent-kafka does not call `error_cb` for a fatal error: `poll` raises it, once.
    """
    try:
        producer.poll(timeout_s)
    except KafkaException as error:
        return error.args[0]  # type: ignore[no-any-return]
    return None


def is_final(error: BaseException) -> bool:
    """Return whether an error is final: there is no connection, or a right is missing."""
    cause = error.__cause__
    if isinstance(cause, KafkaException):
        return cause.args[0].code() in codes.REFUSED | codes.HOPELESS
    return isinstance(cause, NoConnection)


def is_unauthorized(error: BaseException) -> bool:
    """Return whether an error is due to a missing right."""
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in codes.UNAUTHORIZED


def with_right(error: KafkaError, operation: str, resource: str) -> str:
    """Return what a broker said, and the right to grant where it refused access.

    Args:
        operation: the operation that was refused, as Kafka's ACLs name it.
        resource: what it was refused on, for example "topic t".
    """
    if error.code() not in codes.UNAUTHORIZED:
        return codes.reason(error)
    reason = shortened(error)
    right = f"{operation} on {resource}"
    if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        # An idempotent producer: a right on the topic is enough since Kafka 2.8.
        is_write = operation == "WRITE"
        right = (
            f"{right}, and before Kafka 2.8 IDEMPOTENT_WRITE on the cluster"
            if is_write
            else f"{operation} on the cluster"
        )
    return f"{reason}: grant this user {right}"


def shortened(error: KafkaError) -> str:
    """Return what librdkafka says, on one line, without its measurements."""
    words = _TIMES.sub("", error.str()).removeprefix("Broker: ").strip().rstrip(".")
    return " ".join(words.split())


def _line(problems: Mapping[Address, Problem]) -> str:
    return f"no connection to Kafka at {joined(problems)}"


def joined(problems: Mapping[Address, Problem], instead: str | None = None) -> str:
    """Return the problems in one line, and those that are the same once.

    Args:
        instead: the advice to give; None: that of each problem.
    """
    places: dict[tuple[str, str], list[str]] = {}
    for address, problem in problems.items():
        places.setdefault((problem.reason, instead or problem.advice), []).append(str(address))
    parts = []
    for (reason, advice), addresses in places.items():
        if addresses == [config.DEFAULT_SERVERS] and reason == "connection refused":
            advice = f"give servers=HOST:PORT; {config.DEFAULT_SERVERS} is the default"
        parts.append(f"{', '.join(addresses)} ({reason}): {advice}")
    return "; ".join(parts)


def _refused(error: KafkaError, servers: object, settings: Mapping[str, object]) -> str:
    """Return the line for what librdkafka alone can see: the answer to credentials."""
    words = shortened(error)
    place = _PLACE.match(words)
    where = place["address"] if place else servers
    reason = _PLACE.sub("", words)
    if error.code() not in _CREDENTIALS:
        return f"no connection to Kafka at {where} ({reason}): check the settings ssl.*"
    if fault := fault_of_token(reason):
        return f"no connection to Kafka at {where} ({fault[0]}): {fault[1]}"
    mechanism = str(settings.get("sasl.mechanism", settings.get("sasl.mechanisms", "")))
    is_password = mechanism.startswith("SCRAM") or mechanism == "PLAIN"
    wrong = "sasl.username and sasl.password" if is_password else "the settings sasl.*"
    return f"no connection to Kafka at {where} ({reason}): check {wrong}"
