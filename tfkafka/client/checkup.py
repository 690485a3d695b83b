"""Whether a cluster can be used, and if not, why: one finding for each question.

It only asks: no topic, group or transaction is made.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    ClusterMetadata,
    ConfigResource,
    DescribeClusterResult,
    OffsetSpec,
)

from tfkafka import config
from tfkafka._util.background import in_background
from tfkafka.client import create
from tfkafka.client.cluster import Cluster
from tfkafka.client.diagnosis import is_unauthorized, joined
from tfkafka.client.names import Address, parse_addresses
from tfkafka.client.probe import CONSUMER_GROUP_HEARTBEAT, Listener, Problem, probe
from tfkafka.errors import BrokerError

TIMEOUT_MS = 10_000
GROUPS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
_DESCRIBE_CLUSTER = 60
# A record may be dated so much later than this machine's clock says.
CLOCK_S = 5.0
DATED_PARTITIONS = 100
NAMED = 3
# Of a probe without an answer, which takes 2 s.
REPEATS = 2


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Attributes:
        name: what was asked about.
        status: "ok"; "failed": the cluster cannot be used like that; "warning": it can be;
            "unknown": it could not be asked.
        found: what was found, and what to do if it is wrong.
    """

    name: str
    status: Literal["ok", "failed", "warning", "unknown"]
    found: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class _Keeping(NamedTuple):
    """The internal topic that keeps the state of groups, or of transactions."""

    name: str
    topic: str
    replicas: str
    in_sync: str


_KEEPING = (
    _Keeping("groups", GROUPS, "offsets.topic.replication.factor", "min.insync.replicas"),
    _Keeping(
        "transactions",
        TRANSACTIONS,
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
    ),
)


def check_cluster(servers: str, configuration: config.Configuration = None) -> Iterator[Finding]:
    """Yield one finding after the other; the last one is the first that makes others pointless.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        configuration: librdkafka's settings.

    Raises ConfigurationError where a setting, or an address, is refused.
    """
    settings = config.consumer_settings(servers, configuration)
    create.check(settings)
    listeners, problems = _probe(parse_addresses(settings["bootstrap.servers"]), settings, 1)
    yield _addresses(listeners, problems)
    # Where all were silent, the client's own error says more.
    if problems and not listeners:
        return
    if listeners:
        yield _version(list(listeners.values()))
    # Records of open transactions count, too.
    settings["isolation.level"] = "read_uncommitted"
    cluster = Cluster(settings, TIMEOUT_MS, BrokerError)
    try:
        described = _describe(cluster)
    except BrokerError as error:
        yield Finding("authentication", "failed", str(error))
        return
    yield Finding("authentication", "ok", _access(settings))
    yield _brokers(described, settings)
    yield from _kept(cluster, described)


def _kept(cluster: Cluster, described: DescribeClusterResult) -> Iterator[Finding]:
    metadata = cluster.metadata()
    yield _topics(metadata, cluster)
    for keeping in _KEEPING:
        yield _state(keeping, cluster, metadata, len(described.nodes))
    yield _clock(cluster, metadata)


def _probe(
    addresses: list[Address], settings: Mapping[str, object], needed: int
) -> tuple[dict[Address, Listener], dict[Address, Problem]]:
    """Return which addresses can be used, and which not; one that is silent is neither.

    Those that are silent are probed again where nothing else is wrong: a slow machine may answer
    later.

    Args:
        needed: how many should be usable.
    """
    listeners, problems = _probe_once(addresses, settings)
    for _ in range(REPEATS):
        if problems or len(listeners) >= needed:
            break
        silent = [each for each in addresses if each not in listeners]
        found, problems = _probe_once(silent, settings)
        listeners |= found
    return {each: listeners[each] for each in addresses if each in listeners}, problems


def _probe_once(
    addresses: list[Address], settings: Mapping[str, object]
) -> tuple[dict[Address, Listener], dict[Address, Problem]]:
    futures = {each: in_background(lambda each=each: probe(each, settings)) for each in addresses}  # type: ignore[misc]
    listeners, problems = {}, {}
    for address, future in futures.items():
        error = future.exception()
        if isinstance(error, Problem):
            problems[address] = error
        elif (found := future.result()) is not None:
            listeners[address] = found
    return listeners, problems


def _addresses(
    listeners: Mapping[Address, Listener], problems: Mapping[Address, Problem]
) -> Finding:
    answering = ", ".join(map(str, listeners))
    if problems:
        status: Literal["failed", "warning"] = "warning" if listeners else "failed"
        others = f"; {answering} answers" if listeners else ""
        return Finding("address", status, joined(problems) + others)
    if not listeners:
        return Finding("address", "warning", "connections are accepted, and nothing is answered")
    return Finding("address", "ok", f"Kafka answers at {answering}")


def _version(listeners: list[Listener]) -> Finding:
    def all_know(request: int, version: int) -> bool:
        return all(each.requests.get(request, -1) >= version for each in listeners)

    # librdkafka needs version 1 of it for group.protocol=consumer.
    if all_know(CONSUMER_GROUP_HEARTBEAT, 1):
        return Finding("version", "ok", "Kafka 4.0 or newer; group.protocol=consumer can be used")
    if all_know(_DESCRIBE_CLUSTER, 0):
        return Finding("version", "ok", "Kafka 2.8 to 3.9, without group.protocol=consumer")
    return Finding(
        "version",
        "warning",
        "older than Kafka 2.8, whose topics have no ids: a topic that is deleted and created "
        "again is not noticed; use a newer Kafka",
    )


def _describe(cluster: Cluster) -> DescribeClusterResult:
    def question(timeout_s: float) -> DescribeClusterResult:
        answer = cluster.client.describe_cluster(request_timeout=timeout_s)
        found: DescribeClusterResult = cluster.result(answer, timeout_s)
        return found

    return cluster.ask("the cluster", question)


def _access(settings: Mapping[str, object]) -> str:
    protocol = str(settings.get("security.protocol", "plaintext")).upper()
    tls = "TLS, and the broker's certificate is trusted" if "SSL" in protocol else "no TLS"
    mechanism = settings.get("sasl.mechanism", settings.get("sasl.mechanisms", "GSSAPI"))
    user = f"accepted by {mechanism}" if protocol.startswith("SASL") else "no password is needed"
    return f"{user}; {tls}"


def _brokers(described: DescribeClusterResult, settings: Mapping[str, object]) -> Finding:
    nodes = [Address(node.host, node.port) for node in described.nodes]
    listeners, problems = _probe(nodes, settings, len(nodes))
    count = f"{len(nodes)} broker{'s' * (len(nodes) > 1)}"
    if problems:
        advice = "correct advertised.listeners of the brokers, or start them"
        return Finding("brokers", "failed", f"{count}, of which {joined(problems, advice)}")
    if len(listeners) < len(nodes):
        silent = ", ".join(str(node) for node in nodes if node not in listeners)
        return Finding("brokers", "warning", f"{count}, of which {silent} answers slowly or not")
    where = ", ".join(map(str, nodes[:NAMED])) + ", ..." * (len(nodes) > NAMED)
    return Finding("brokers", "ok", f"{count}, reached at what is advertised: {where}")


def _topics(metadata: ClusterMetadata, cluster: Cluster) -> Finding:
    topics = {name: topic for name, topic in metadata.topics.items() if not name.startswith("__")}
    leaderless = [
        f"{name}-{number}"
        for name, topic in sorted(topics.items())
        for number, partition in topic.partitions.items()
        if partition.leader < 0
    ]
    if leaderless:
        named = ", ".join(leaderless[:NAMED]) + ", ..." * (len(leaderless) > NAMED)
        return Finding(
            "topics",
            "failed",
            f"{len(leaderless)} partitions have no leader ({named}): start the brokers that have "
            f"them",
        )
    if topics:
        partitions = sum(len(topic.partitions) for topic in topics.values())
        return Finding(
            "topics", "ok", f"{len(topics)} visible, with {partitions} partitions, all with leaders"
        )
    if cluster.has_users:
        return Finding(
            "topics", "warning", "none is visible: create one, or grant this user DESCRIBE"
        )
    return Finding("topics", "ok", "none yet")


def _state(keeping: _Keeping, cluster: Cluster, metadata: ClusterMetadata, brokers: int) -> Finding:
    topic = metadata.topics.get(keeping.topic)
    if topic is not None:
        leaderless = sum(partition.leader < 0 for partition in topic.partitions.values())
        if leaderless:
            advice = f"{leaderless} partitions of {keeping.topic} have no leader: start the brokers"
            return Finding(keeping.name, "failed", f"{advice} that have them")
        return Finding(keeping.name, "ok", f"can be used; {keeping.topic} has all its leaders")
    try:
        replicas, in_sync = _broker_numbers(cluster, metadata, keeping)
    except BrokerError as error:
        if not is_unauthorized(error):
            raise
        return Finding(
            keeping.name,
            "unknown",
            f"{keeping.topic} is hidden from this user, who needs no right on it; to see more, "
            f"grant DESCRIBE_CONFIGS on the cluster",
        )
    if replicas > brokers:
        return Finding(
            keeping.name,
            "failed",
            f"{keeping.replicas} is {replicas}, and there are {brokers} brokers: set it to "
            f"{brokers} on the brokers, or start more",
        )
    if in_sync > replicas:
        return Finding(
            keeping.name,
            "failed",
            f"{keeping.in_sync} is {in_sync}, and there are {replicas} replicas: set it to "
            f"{replicas} on the brokers",
        )
    return Finding(keeping.name, "ok", f"can be used; the first one makes {keeping.topic}")


def _broker_numbers(
    cluster: Cluster, metadata: ClusterMetadata, keeping: _Keeping
) -> tuple[int, int]:
    """Return how many replicas a broker wants of an internal topic, and how many in sync."""
    numbers = itertools.cycle(sorted(metadata.brokers))

    def question(timeout_s: float) -> dict[str, Any]:
        # A broker says this of itself alone.
        resource = ConfigResource(ConfigResource.Type.BROKER, str(next(numbers)))
        answers = cluster.client.describe_configs([resource], request_timeout=timeout_s)
        return cluster.result(answers[resource], timeout_s)

    right = ("DESCRIBE_CONFIGS", "the cluster")
    entries = cluster.ask("the settings of a broker", question, right=right)
    return int(entries[keeping.replicas].value), int(entries[keeping.in_sync].value)


def _clock(cluster: Cluster, metadata: ClusterMetadata) -> Finding:
    """Compare this machine's clock with the newest record: Kafka tells nobody its time."""
    now = time.time()
    partitions = [
        TopicPartition(name, number)
        for name, topic in sorted(metadata.topics.items())
        for number, partition in topic.partitions.items()
        if partition.leader >= 0
    ]
    try:
        newest, where = _newest(cluster, partitions[:DATED_PARTITIONS])
    except BrokerError as error:
        return Finding("clock", "unknown", str(error))
    if newest < 0:
        return Finding("clock", "unknown", "no topic has a dated record to compare it with")
    ahead_s = newest / 1000 - now
    if ahead_s > CLOCK_S:
        return Finding(
            "clock",
            "warning",
            f"a record of {where} is dated {ahead_s:,.0f} s after this machine's clock: correct "
            f"the clock here, or that of the writer",
        )
    where = "" if len(partitions) <= DATED_PARTITIONS else f" in {DATED_PARTITIONS} partitions"
    return Finding("clock", "ok", f"no record is dated after this machine's clock{where}")


def _newest(cluster: Cluster, partitions: list[TopicPartition]) -> tuple[int, str]:
    """Return the time of the newest record, in ms since 1970 (UTC), and the topic that has it."""
    if not partitions:
        return -1, ""
    wanted = dict.fromkeys(partitions, OffsetSpec.max_timestamp())

    def question(timeout_s: float) -> tuple[int, str]:
        answers = cluster.client.list_offsets(wanted, request_timeout=timeout_s)
        found = [
            (cluster.result(answer, timeout_s).timestamp, each.topic)
            for each, answer in answers.items()
        ]
        return max(found)

    return cluster.ask("the newest records", question)
