"""Queries to a cluster: its topics, their partitions, and where these begin and end.

All queries handle time-outs alike: after a transient error a query is repeated until `timeout_ms`
have passed, or until it is clear that there will be no connection; then ReadError has the reason.

One broker that does not answer delays a query, and does not fail it. librdkafka 2.16 asks the
leader of a partition about offsets, the controller about most other things (with KRaft each answer
names any broker as the controller), and for the list of topics the broker that it asked last. It
looks for no other one while it waits for an answer, so this is done here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from confluent_kafka import (
    OFFSET_INVALID,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Node,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    BrokerMetadata,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
)

from tfkafka import config
from tfkafka._util.background import in_background
from tfkafka._util.disposal import destroy_with
from tfkafka.client import codes, create
from tfkafka.client.coordinator import Coordinator, Coordinators
from tfkafka.client.diagnosis import Connection, NoConnection, with_right
from tfkafka.client.names import Address, check_topic_name, parse_addresses
from tfkafka.client.topics import ask_while_new, missing_topic
from tfkafka.errors import ReadError, TfkafkaError, TopicError

Answer = TypeVar("Answer")
_AGAIN_S = 0.05
# Added to the time-out of a request: librdkafka reports it a little late.
_GRACE_S = 1.0
# An attempt ends this long after its time-out only where the process stood still: there may be an
# answer that it has not heard.
_STOOD_STILL_S = 3.0
# How long a broker may take before another one is looked for; later this part of the time so far,
# since it may be slow.
_BROKER_S = 2.0
_BROKER_PART = 1 / 2


@dataclass(frozen=True)
class TopicDescription:
    """A topic as the cluster describes it.

    Attributes:
        identity: the topic's id; a topic that is deleted and created again has a new one. None
            from a broker before Kafka 2.8.
        partitions: the numbers of its partitions, ascending.
    """

    identity: str | None
    partitions: list[int]


class End(NamedTuple):
    """The end of a partition.

    Attributes:
        offset: the last readable offset plus 1.
        leader_epoch: the epoch of the leader. No record before the end has a greater one, and all
            that are written after a change of leaders have. None: unknown.
    """

    offset: int
    leader_epoch: int | None = None


class Cluster:
    """A client that queries a cluster.

    Methods raise `error` where no broker answers within `timeout_ms`, or the broker refuses,
    and TopicError where there is no such topic.

    Args:
        settings: a consumer's settings; only the address of the cluster and the credentials are
            used. With `isolation.level` read_committed, librdkafka's default, a partition ends
            before the first open transaction.
        timeout_ms: how long a query may take.
        error: the class of error to raise.
        was_reached: see `Connection`.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        timeout_ms: int,
        error: type[TfkafkaError] = ReadError,
        was_reached: bool = False,
    ):
        self._error = error
        chosen = config.ADMIN_DEFAULTS | config.connection_settings(settings)
        self.servers: str = str(chosen["bootstrap.servers"])
        self._connection = Connection(chosen, was_reached)
        chosen["error_cb"] = self._connection.note
        # Where the brokers are, by their ids, as far as answers have said it.
        self._brokers: dict[int, Address] = {}
        # It must not lead back here: see `disposal`.
        self._make: Callable[[], AdminClient] = partial(_make_client, chosen, self._brokers)
        self._held = _Held(self._make())
        self._coordinators = Coordinators(self._make)
        self.has_users = config.has_users(chosen)
        committed = config.isolation_level(settings) == "read_committed"
        self._isolation = (
            IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        )
        self._timeout_s = timeout_ms / 1000

    @property
    def client(self) -> AdminClient:
        """The client that is asked; it may be another one after each question."""
        return self._held.client

    def describe(self, topic: str) -> TopicDescription:
        """Return a topic's identity and partitions."""
        check_topic_name(topic)

        def question(timeout_s: float) -> TopicDescription:
            wanted = TopicCollection([topic])
            [answer] = self.client.describe_topics(wanted, request_timeout=timeout_s).values()
            found = self.result(answer, timeout_s)
            if not self._brokers:  # it is asked often, about many partitions
                self._note_brokers(node for p in found.partitions for node in p.replicas)
            # A broker without topic ids (before Kafka 2.8) returns an id of zeros.
            bits = found.topic_id.get_most_significant_bits()
            identity = str(found.topic_id) if bits else None
            return TopicDescription(identity, sorted(p.id for p in found.partitions))

        return ask_while_new(
            lambda: self.ask(f"topic {topic}", question, topic), self._has_several_brokers
        )

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions, ascending."""
        return self.describe(topic).partitions

    def cluster_id(self) -> str:
        """Return the cluster's id."""

        def question(timeout_s: float) -> str:
            answer = self.client.describe_cluster(request_timeout=timeout_s)
            found = self.result(answer, timeout_s)
            self._note_brokers(found.nodes)
            return str(found.cluster_id)

        return self.ask("the cluster", question)

    def metadata(self) -> ClusterMetadata:
        """Return all topics that this user may see, with their partitions."""
        return self._repeat(
            "the topics", self._patient(self._list_topics, lambda _left_s: self._renew())
        )

    def topic_settings(self, topic: str) -> dict[str, ConfigEntry]:
        """Return a topic's settings by their names, those with Kafka's defaults too."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

        def question(timeout_s: float) -> dict[str, ConfigEntry]:
            answers = self.client.describe_configs([resource], request_timeout=timeout_s)
            return self.result(answers[resource], timeout_s)

        what = f"topic {topic}"
        return self.ask(what, question, right=("DESCRIBE_CONFIGS", what))

    def first_offsets(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the first offset of each of these partitions."""
        return self._offsets(topic, partitions, OffsetSpec.earliest())

    def end_offsets(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the end of each of these partitions: its last readable offset plus 1."""
        return _only_offsets(self.ends(topic, partitions))

    def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, End]:
        """Return the end of each of these partitions, with its leader's epoch."""
        return self._ends(topic, partitions, OffsetSpec.latest())

    def high_watermarks(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the end of each of these partitions, with the records of open transactions."""
        return self._offsets(
            topic, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED
        )

    def offsets_at(self, topic: str, partitions: Iterable[int], time_ms: int) -> dict[int, int]:
        """Return the offset of the first record at or after a time; -1 where there is none.

        Args:
            time_ms: since 1970 (UTC).
        """
        return self._offsets(topic, partitions, OffsetSpec.for_timestamp(time_ms))

    def missing(self, topic: str) -> TopicError:
        """Return the error to raise where there is no such topic."""
        return missing_topic(topic, self.servers, self.has_users)

    def ask(
        self,
        what: str,
        question: Callable[[float], Answer],
        topic: str | None = None,
        passing: frozenset[int] = codes.TRANSIENT,
        right: tuple[str, str] = ("DESCRIBE", ""),
    ) -> Answer:
        """Repeat a query until it is answered, by another broker where one does not answer.

        Args:
            what: the subject of the query, for error messages.
            question: sends the query with `client`; called with its time-out in seconds; raises
                KafkaException.
            topic: the topic that is queried; where it is missing, TopicError is raised.
            passing: codes of the errors after which the query is repeated.
            right: the operation and the resource that the user needs a right for; the topic where
                there is no resource.
        """
        patient = self._patient(question, self._look_around, passing)
        return self._repeat(what, patient, topic, passing, right)

    def ask_coordinator(
        self, group: str, question: Callable[[Coordinator], Future[Answer]], operation: str
    ) -> Answer:
        """Repeat a query to a group's coordinator until it is answered.

        Args:
            group: the group.
            question: sends the query.
            operation: the operation on the group that the user needs a right for.
        """

        def attempt(timeout_s: float) -> Answer:
            # One that has not answered is not used again.
            with self._coordinators.one() as coordinator:
                return self.result(question(coordinator), timeout_s, coordinator.poll)

        resource = f"group {group}"
        patient = self._patient(attempt, lambda _left_s: None)
        return self._repeat(resource, patient, right=(operation, resource))

    def request(
        self, what: str, question: Callable[[float], Answer], repeated: frozenset[int]
    ) -> Answer:
        """Send a request that may not be sent again, and return the answer.

        Args:
            what: as for `ask`.
            question: as for `ask`.
            repeated: codes of the errors after which it may nevertheless.
        """
        return self._repeat(what, question, repeated=repeated)

    def result(
        self,
        future: Future[Answer],
        timeout_s: float,
        poll: Callable[[float], object] | None = None,
    ) -> Answer:
        """Return the result of a future of confluent-kafka's admin client.

        Args:
            poll: that client's `poll`; None: that of `client`.
        """
        return self._connection.wait(future, timeout_s + _GRACE_S, poll or self.client.poll)

    def _has_several_brokers(self) -> bool:
        """Return whether there are several; False where none says so soon."""
        try:
            answer = self.client.describe_cluster(request_timeout=_BROKER_S)
            return len(self.result(answer, _BROKER_S).nodes) > 1
        except (KafkaException, TimeoutError, NoConnection):
            return False

    def _offsets(
        self,
        topic: str,
        partitions: Iterable[int],
        spec: OffsetSpec,
        isolation: IsolationLevel | None = None,
    ) -> dict[int, int]:
        return _only_offsets(self._ends(topic, partitions, spec, isolation))

    def _ends(
        self,
        topic: str,
        partitions: Iterable[int],
        spec: OffsetSpec,
        isolation: IsolationLevel | None = None,
    ) -> dict[int, End]:
        specs = {TopicPartition(topic, partition): spec for partition in partitions}
        if not specs:
            return {}

        def question(timeout_s: float) -> dict[int, End]:
            answers = self.client.list_offsets(
                specs,
                isolation_level=isolation or self._isolation,
                request_timeout=timeout_s,
            )
            found = {p.partition: self.result(answer, timeout_s) for p, answer in answers.items()}
            if any(each.offset == OFFSET_INVALID for each in found.values()):
                # What librdkafka 2.16 returns where the leader that it knows is away.
                raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
            return {p: End(each.offset, each.leader_epoch) for p, each in found.items()}

        # What librdkafka has seen of the topic may be older than the partition.
        passing = codes.TRANSIENT | codes.NOT_YET_LED | {KafkaError._UNKNOWN_PARTITION}
        return self.ask(f"topic {topic}", question, topic, passing)

    def _repeat(
        self,
        what: str,
        question: Callable[[float], Answer],
        topic: str | None = None,
        passing: frozenset[int] = codes.TRANSIENT,
        right: tuple[str, str] = ("DESCRIBE", ""),
        repeated: frozenset[int] | None = None,
    ) -> Answer:
        """Repeat a query until it is answered: see `ask`.

        Args:
            repeated: codes of those of the passing errors after which the query may be sent again;
                None: after all of them, and where no answer comes.
        """
        begun_s = time.monotonic()
        deadline = begun_s + self._timeout_s
        has_stood_still = False
        try:
            while True:
                asked_s = time.monotonic()
                left_s = max(_AGAIN_S, deadline - asked_s)
                try:
                    answer = question(left_s)
                    self._connection.answered()
                    return answer
                except (KafkaException, TimeoutError) as failure:
                    reason = failure.args[0] if isinstance(failure, KafkaException) else None
                    self._refuse(reason, what, topic, passing, right)
                    is_late = time.monotonic() - asked_s > left_s + _STOOD_STILL_S
                    # Once: a function of the user's that is asked for a token may be as late.
                    if is_late and not has_stood_still:
                        has_stood_still = True
                        deadline = time.monotonic() + self._timeout_s
                    repeats = repeated is None or (reason and reason.code() in repeated)
                    if not repeats or time.monotonic() + _AGAIN_S > deadline:
                        waited_s = self._timeout_s if repeats else time.monotonic() - begun_s
                        raise self._no_answer(what, reason, waited_s) from failure
                time.sleep(_AGAIN_S)
                self.client.poll(0)
                self._connection.check()
        except NoConnection as failure:
            raise self._error(f"{what}: {failure}", topic=topic) from failure

    def _patient(
        self,
        question: Callable[[float], Answer],
        look_elsewhere: Callable[[float], None],
        passing: frozenset[int] = codes.TRANSIENT,
    ) -> Callable[[float], Answer]:
        """Return a question that waits for an answer only as long as a broker may take.

        Args:
            look_elsewhere: called where there is none, so that another broker is asked next, with
                the seconds that are left.
        """
        begun_s = time.monotonic()

        def attempt(timeout_s: float) -> Answer:
            now = time.monotonic()
            patience_s = max(_BROKER_S, _BROKER_PART * (now - begun_s))
            try:
                return question(min(timeout_s, patience_s))
            except (KafkaException, TimeoutError) as failure:
                if isinstance(failure, TimeoutError) or failure.args[0].code() in passing:
                    look_elsewhere(now + timeout_s - time.monotonic())
                raise

        return attempt

    def _look_around(self, left_s: float) -> None:
        """Learn from any broker which ones there are, and who leads."""
        if left_s <= 0:
            return
        try:
            self._list_topics(min(_BROKER_S, left_s))
        except (KafkaException, TimeoutError):
            self._renew()

    def _list_topics(self, timeout_s: float) -> ClusterMetadata:
        client = self.client
        # For all topics: a request for one could create it where brokers create topics.
        answer = in_background(lambda: client.list_topics(timeout=timeout_s))
        found = self.result(answer, timeout_s)
        self._note_brokers(found.brokers.values())
        return found

    def _renew(self) -> None:
        """Ask with a new client from now on, which begins with any of the brokers."""
        self._held = _Held(self._make())

    def _note_brokers(self, nodes: Iterable[Node | BrokerMetadata]) -> None:
        """Note where brokers are, for clients that begin when the addresses given are away."""
        found = {n.id: Address(n.host, n.port) for n in nodes if n.host and n.port > 0}
        if found:
            # In place: new clients are made with it.
            self._brokers.clear()
            self._brokers.update(found)

    def _refuse(
        self,
        reason: KafkaError | None,
        what: str,
        topic: str | None,
        passing: frozenset[int],
        right: tuple[str, str],
    ) -> None:
        """Raise the error for an answer that will not change."""
        if reason is None:
            return
        code = reason.code()
        if code > 0:
            self._connection.answered()
        if topic is not None and code in codes.MISSING - passing:
            raise self.missing(topic) from None
        if code not in passing:
            operation, resource = right
            words = with_right(reason, operation, resource or f"topic {topic}")
            raise self._error(f"{what}: {words}", topic=topic) from KafkaException(reason)

    def _no_answer(self, what: str, reason: KafkaError | None, waited_s: float) -> TfkafkaError:
        said = "no answer" if reason is None else reason.str()
        # The connection's last error says more than a time-out.
        is_vague = reason is None or reason.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
        return self._error(
            f"{what}: no answer from Kafka at {self.servers} for "
            f"{waited_s * 1000:.0f} ms "
            f"({self._connection.reason(said) if is_vague else said})"
        )


class _Held:
    """A client that is destroyed in none of its own threads.

    They call back with answers, also with late ones; librdkafka 2.16 aborts the process there.
    """

    def __init__(self, client: AdminClient):
        self.client = client
        destroy_with(self, client)


def _make_client(settings: Mapping[str, object], known: Mapping[int, Address]) -> AdminClient:
    """Return a client that may begin with any broker that is known, not only with those given."""
    servers = str(settings["bootstrap.servers"])
    given = parse_addresses(servers)
    addresses = [servers, *(str(each) for each in list(known.values()) if each not in given)]
    return create.make_client(AdminClient, {**settings, "bootstrap.servers": ",".join(addresses)})


def _only_offsets(ends: Mapping[int, End]) -> dict[int, int]:
    return {partition: end.offset for partition, end in ends.items()}
