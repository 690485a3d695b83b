"""Users and their rights in a cluster, which Kafka keeps."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from tfkafka._util.waiting import wait_for
from tfkafka.client import probe
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.base import change

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding, AclBindingFilter

ANSWER_DEADLINE_S = 60.0
# As Kafka's protocol numbers them.
_DESCRIBE_ACLS = 29
_LITERAL, _PREFIXED, _ALLOW = 3, 4, 3
CLUSTER = "kafka-cluster"
SCRAM_ITERATIONS = 4096


@dataclass(frozen=True)
class Right:
    """A right of a user: an operation, as Kafka names it, on one kind of thing.

    Attributes:
        kind: TOPIC, GROUP, TRANSACTIONAL_ID or CLUSTER.
        name: of the thing, or with which the names of things begin where `prefix` is True; "*" for
            all things of this kind.
    """

    user: str
    operation: str
    kind: str
    name: str
    prefix: bool

    def __str__(self) -> str:
        of = f"{self.kind} {self.name}{'...' if self.prefix else ''}"
        return f"the right of {self.user} to {self.operation} {of}"


class On(TypedDict, total=False):
    """What a right is on: one of the first four, and whether its name is only the beginning."""

    topic: str
    group: str
    transactional_id: str
    cluster: bool
    prefix: bool


def right(
    user: str,
    operation: str,
    *,
    topic: str | None = None,
    group: str | None = None,
    transactional_id: str | None = None,
    cluster: bool = False,
    prefix: bool = False,
) -> Right:
    """Return the right that the arguments of `EmbeddedBroker.grant` describe."""
    from confluent_kafka.admin import AclOperation

    names = {
        "TOPIC": topic,
        "GROUP": group,
        "TRANSACTIONAL_ID": transactional_id,
        "CLUSTER": CLUSTER if cluster else None,
    }
    given = [(kind, name) for kind, name in names.items() if name is not None]
    if len(given) != 1:
        raise BrokerError("name one of topic, group, transactional_id and cluster")
    known = [each.name for each in AclOperation if each.name not in ("UNKNOWN", "ANY")]
    if operation not in known:
        raise BrokerError(f"operation must be one of {', '.join(known)}, not {operation!r}")
    return Right(user, operation, *given[0], prefix)


def grant(addresses: Sequence[str], given: Right) -> None:
    """Grant a right, and wait until the broker at each address, HOST:PORT, knows it."""
    change(
        ",".join(addresses),
        "rights",
        lambda client: client.create_acls([_binding(given)]).values(),
    )
    wait_for(
        lambda: all(_is_known(given, address) for address in addresses),
        f"{given} to be known",
        error=BrokerError,
    )


def revoke(addresses: Sequence[str], taken: Right) -> None:
    """Revoke a right, and wait until the brokers know that. Raises BrokerError for another one."""
    if not any(_is_known(taken, address) for address in addresses):
        raise BrokerError(f"cannot revoke {taken}: it was not granted")
    change(
        ",".join(addresses),
        "rights",
        lambda client: client.delete_acls([_filter(taken)]).values(),
    )
    wait_for(
        lambda: not any(_is_known(taken, address) for address in addresses),
        f"{taken} to be revoked",
        error=BrokerError,
    )


def store_passwords(bootstrap_servers: str, mechanism: str, passwords: Mapping[str, str]) -> None:
    """Let the cluster keep the users of a SCRAM mechanism, or their new passwords."""
    from confluent_kafka.admin import (
        ScramCredentialInfo,
        ScramMechanism,
        UserScramCredentialAlteration,
        UserScramCredentialUpsertion,
    )

    info = ScramCredentialInfo(ScramMechanism[mechanism.replace("-", "_")], SCRAM_ITERATIONS)
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, info, password.encode())
        for user, password in passwords.items()
    ]
    change(
        bootstrap_servers,
        "passwords",
        lambda client: client.alter_user_scram_credentials(changes).values(),
    )


def _is_known(each: Right, address: str) -> bool:
    """Ask one broker for a right. librdkafka would ask any broker of the cluster."""
    from confluent_kafka.admin import AclOperation, ResourceType

    kind = ResourceType[_kind(each)].value
    pattern = _PREFIXED if each.prefix else _LITERAL
    question = struct.pack(">b", kind) + _text(each.name) + struct.pack(">b", pattern)
    question += _text(f"User:{each.user}") + _text("*")
    question += struct.pack(">bb", AclOperation[each.operation].value, _ALLOW)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), ANSWER_DEADLINE_S) as connection:
        answer = probe.request(connection, _DESCRIBE_ACLS, 1, question)
    # The time that the broker makes its clients wait, an error, the error's text, and the rights.
    length: int
    count: int
    _, code, length = struct.unpack_from(">ihh", answer)
    (count,) = struct.unpack_from(">i", answer, 8 + max(0, length))
    return code == 0 and count > 0


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


def _binding(each: Right) -> AclBinding:
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    return AclBinding(
        ResourceType[_kind(each)],
        each.name,
        ResourcePatternType.PREFIXED if each.prefix else ResourcePatternType.LITERAL,
        f"User:{each.user}",
        "*",
        AclOperation[each.operation],
        AclPermissionType.ALLOW,
    )


def _kind(each: Right) -> str:
    # librdkafka calls the cluster a broker.
    return "BROKER" if each.kind == "CLUSTER" else each.kind


def _filter(each: Right) -> AclBindingFilter:
    from confluent_kafka.admin import AclBindingFilter

    exact = _binding(each)
    return AclBindingFilter(
        exact.restype,
        exact.name,
        exact.resource_pattern_type,
        exact.principal,
        exact.host,
        exact.operation,
        exact.permission_type,
    )
