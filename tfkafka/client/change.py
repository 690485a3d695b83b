"""Requests that change a cluster, which may not simply be repeated."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from tfkafka.client import codes
from tfkafka.client.cluster import Cluster

Changed = TypeVar("Changed")
_DROPPED = frozenset({KafkaError._DESTROY_BROKER})


def change(
    cluster: Cluster,
    what: str,
    requests: Callable[[], Iterable[Future[Changed]]],
    done: int | None = None,
) -> None:
    """Send requests that change a cluster.

    A client that is new drops its requests to the addresses that it was given once it knows the
    brokers (librdkafka 2.16). Such a request may have been carried out or not, so it is sent again,
    and is not refused where the broker says that it is done.

    Args:
        what: the subject of the requests, for error messages.
        requests: sends them with the cluster's client.
        done: the code of the error that says so.

    Raises KafkaException where one is refused, and what `Cluster.ask` raises without an answer.
    """
    # Most are not dropped where the client knows the brokers before.
    cluster.metadata()
    attempts = itertools.count(1)

    def question(timeout_s: float) -> KafkaError | None:
        is_first = next(attempts) == 1
        for each in requests():
            try:
                cluster.result(each, timeout_s)
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                if reason.code() in codes.TRANSIENT:
                    raise
                if is_first or reason.code() != done:
                    return reason
        return None

    refusal = cluster.request(what, question, _DROPPED)
    if refusal is not None:
        raise KafkaException(refusal)
