"""Configuration files of an embedded broker.

The values are those of the configuration that Apache Kafka ships (`config/server.properties`,
`config/zookeeper.properties`) and the tutorial uses. Only addresses, folders, a time-out, a buffer,
the number of partitions of Kafka's own topics, and what groups may set for themselves differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tfkafka.testing.brokers import private
from tfkafka.testing.brokers.jars import Lock

HOST = "127.0.0.1"
# Where a broker finds the keys with which tokens of OAUTHBEARER are signed.
KEYS_OF_TOKENS = "sasl.oauthbearer.jwks.endpoint.url"

SHIPPED = {
    "num.network.threads": 3,
    "num.io.threads": 8,
    "num.partitions": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "log.retention.hours": 168,
    "log.segment.bytes": 1073741824,
    "log.retention.check.interval.ms": 300000,
    "group.initial.rebalance.delay.ms": 0,
}

# Apache's 50 are for thousands of groups. A broker creates them before its first group begins, and
# again for its first transaction: 50 take 0.6 s of CPU more each time, in which clients wait.
OWN_TOPICS = {"offsets.topic.num.partitions": 4, "transaction.state.log.num.partitions": 4}

# How short a group of `group.protocol=consumer` may set its own intervals; its defaults are
# Apache's. With Apache's least, 45 s and 5 s, tests would wait for most of their time.
SHORTEST = {
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.min.heartbeat.interval.ms": 100,
}

# Apache's 128 MB are for compacting large topics. A broker fills them with zeros when it starts,
# which takes 0.25 s of CPU, and 230 of its 400 MB of memory (3.9.2, 4.4.0).
CLEANER = {"log.cleaner.dedupe.buffer.size": 4 << 20}

LOG4J1 = """\
log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""

LOG4J2 = """\
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
"""


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1.

    Attributes:
        metadata: of ZooKeeper or, with KRaft, of the controller.
        secured: of the listener with security; None where there is none.
    """

    broker: int
    metadata: int
    secured: int | None = None


def write_settings(
    config: Path,
    data: Path,
    lock: Lock,
    ports: Ports,
    own: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Write all configuration files of a broker into the folder `config`.

    `own` has settings of this broker, which take precedence.
    """
    private.make_folder(config)
    server = {**_server_properties(data / "kafka", lock, ports), **own}
    write_properties(config / "server.properties", server)
    if lock.uses_zookeeper:
        zookeeper = _zookeeper_properties(data / "zookeeper", ports)
        write_properties(config / "zookeeper.properties", zookeeper)
    logging = LOG4J2 if lock.uses_log4j2 else LOG4J1
    private.write(config / "logging.properties", logging.encode("ascii"))
    private.write(config / "java.flags", _flags(server).encode("ascii"))


def cluster_properties(number: int, ports: Sequence[Ports]) -> dict[str, object]:
    """Return the settings of one of several brokers, of which each is a controller, too.

    A broker that is killed or paused is missed after 4 s, not Apache's 9 s. Controllers
    that miss the active one at the same moment each vote for themselves, sometimes several times:
    here each waits for another time.
    """
    voters = (f"{each}@{HOST}:{port.metadata}" for each, port in enumerate(ports))
    replicas = min(len(ports), 3)
    in_sync = min(len(ports), 2)
    return {
        "node.id": number,
        "controller.quorum.voters": ",".join(voters),
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 500,
        "controller.quorum.fetch.timeout.ms": 2000 + 250 * number,
    }


def flag_of_flags(config: Path) -> str:
    """Return Java's flag for those in the file that `write_settings` writes."""
    return f"@{config / 'java.flags'}"


def logging_flag(config: Path, lock: Lock) -> str:
    """Return Java's flag for the logging configuration."""
    path = (config / "logging.properties").as_uri()
    name = "log4j2.configurationFile" if lock.uses_log4j2 else "log4j.configuration"
    return f"-D{name}={path}"


def _flags(server: Mapping[str, object]) -> str:
    """Return the flags that Java needs with these settings of a broker."""
    urls = [str(server[name]) for name in server if name.endswith(KEYS_OF_TOKENS)]
    # Kafka 4 reads keys from no other address.
    return "".join(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}\n" for url in urls)


def _server_properties(data: Path, lock: Lock, ports: Ports) -> dict[str, object]:
    listener = f"PLAINTEXT://{HOST}:{ports.broker}"
    properties = {
        **SHIPPED,
        **OWN_TOPICS,
        **CLEANER,
        "log.dirs": data,
        "advertised.listeners": listener,
    }
    if lock.uses_zookeeper:
        return properties | {
            "broker.id": 0,
            "listeners": listener,
            "zookeeper.connect": f"{HOST}:{ports.metadata}",
            # Apache's 18 s are too short on a machine that starts many other processes.
            "zookeeper.connection.timeout.ms": 120_000,
        }
    return properties | {
        **SHORTEST,
        "process.roles": "broker,controller",
        "node.id": 0,
        "controller.quorum.voters": f"0@{HOST}:{ports.metadata}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{listener},CONTROLLER://{HOST}:{ports.metadata}",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    }


def _zookeeper_properties(data: Path, ports: Ports) -> dict[str, object]:
    return {
        "dataDir": data,
        "clientPort": ports.metadata,
        "clientPortAddress": HOST,
        "maxClientCnxns": 0,
        "admin.enableServer": "false",
    }


def write_properties(path: Path, properties: Mapping[str, object]) -> None:
    """Write a file of Java's properties."""
    lines = (f"{name}={_escaped(str(value))}\n" for name, value in properties.items())
    private.write(path, "".join(lines).encode("ascii"))


def _escaped(value: str) -> str:
    """Return a value as Java's syntax for properties has it, in ASCII.

    Java would drop a first blank and take a backslash as the begin of an escape.
    """
    return re.sub(r"^ |\\|[^ -~]", _utf16_units, value)


def _utf16_units(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
