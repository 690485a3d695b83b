"""What librdkafka cannot ask of a cluster: its controller and its features; by kafka-python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tfkafka.testing import wait_for

DEADLINE_S = 60.0
METADATA = "metadata.version"
# A release's tool raises them together with the metadata's.
RAISED_TOO = ("group.version", "transaction.version")


def controller(servers: str) -> int:
    """Return the id of the active controller, once somebody answers who it is."""
    found: list[int] = []

    def answered() -> bool:
        with suppress(KafkaError), _client(servers) as client:
            quorum = client.describe_metadata_quorum()
            found.append(quorum["topics"][0]["partitions"][0]["leader_id"])
        return bool(found) and found[-1] >= 0

    wait_for(answered, f"the controller of {servers}", DEADLINE_S)
    return found[-1]


def raise_features(servers: str) -> dict[str, tuple[int, int]]:
    """Finalise what all brokers support, as the last part of an upgrade; {feature: (from, to)}."""
    with _client(servers) as client:
        features = client.describe_features()
        raised = {}
        for name in (METADATA, *RAISED_TOO):
            before, after = finalised(features, name), features[name]["supported"][1]
            if after > before:
                answer = client.update_features({name: after})
                assert answer == {name: "OK"}, answer
                raised[name] = before, after

        def are_raised() -> bool:
            now = client.describe_features()
            return all(finalised(now, name) == after for name, (_, after) in raised.items())

        wait_for(are_raised, f"the features of {servers} to be raised", DEADLINE_S)
    return raised


def finalised(features: dict, name: str) -> int:
    return features[name].get("finalized", (0, 0))[1]


@contextmanager
def _client(servers: str) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=10_000)
    try:
        yield client
    finally:
        client.close()
