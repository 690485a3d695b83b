"""Print what a process of JAX reads: jax_process.py INDEX COUNT ADDRESS SERVERS TOPIC."""

from __future__ import annotations

import json
import sys

import jax

import tfkafka
from tfkafka.reading import bounded

index, count, address, servers, topic = sys.argv[1:]
jax.distributed.initialize(address, int(count), int(index), heartbeat_timeout_seconds=10)


def refuse(*_arguments: object) -> None:
    raise AssertionError("the ends are pinned by process 0 alone")


if index != "0":
    bounded.resolve = refuse
batches = tfkafka.read(topic, servers=servers, shard="jax", batch_size=64)
stops = [[each.partition, each.start, each.stop, each.leader_epoch] for each in batches.ranges]
print(json.dumps([stops, [int(value) for values, _ in batches for value in values]]))
