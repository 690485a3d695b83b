"""Users and their rights in a cluster, which Kafka keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, TypeVar

from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.base import admin_client

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AclBinding, AclBindingFilter, AdminClient

ANSWER_DEADLINE_S = 10.0
CLUSTER = "kafka-cluster"
SCRAM_ITERATIONS = 4096
Answer = TypeVar("Answer")


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


def grant(bootstrap_servers: str, given: Right) -> None:
    """Grant a right, and wait until the broker knows it."""
    client = admin_client(bootstrap_servers)
    _results(client.create_acls([_binding(given)]).values())
    wait_for(lambda: _found(client, given), f"{given} to be known", error=BrokerError)


def revoke(bootstrap_servers: str, taken: Right) -> None:
    """Revoke a right, and wait until the broker knows that. Raises BrokerError for another one."""
    client = admin_client(bootstrap_servers)
    [revoked] = _results(client.delete_acls([_filter(taken)]).values())
    if not revoked:
        raise BrokerError(f"cannot revoke {taken}: it was not granted")
    wait_for(lambda: not _found(client, taken), f"{taken} to be revoked", error=BrokerError)


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
    client = admin_client(bootstrap_servers)
    _results(client.alter_user_scram_credentials(changes).values())


def _found(client: AdminClient, each: Right) -> list[AclBinding]:
    found: list[AclBinding]
    [found] = _results([client.describe_acls(_filter(each))])
    return found


def _results(futures: Iterable[Future[Answer]]) -> list[Answer]:
    from confluent_kafka import KafkaException

    refused = "the broker did not change its users or rights"
    try:
        return [future.result(ANSWER_DEADLINE_S) for future in futures]
    except TimeoutError:
        raise BrokerError(f"{refused}: no answer within {ANSWER_DEADLINE_S:.0f} s") from None
    except KafkaException as error:
        raise BrokerError(f"{refused}: {error.args[0].str()}") from error


def _binding(each: Right) -> AclBinding:
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    return AclBinding(
        # librdkafka calls the cluster a broker.
        ResourceType["BROKER" if each.kind == "CLUSTER" else each.kind],
        each.name,
        ResourcePatternType.PREFIXED if each.prefix else ResourcePatternType.LITERAL,
        f"User:{each.user}",
        "*",
        AclOperation[each.operation],
        AclPermissionType.ALLOW,
    )


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
