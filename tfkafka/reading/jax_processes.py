"""The shards of JAX's processes. No other module of this room imports JAX."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from tfkafka.chunk import OffsetRange
from tfkafka.reading.ranges import Identity, TopicRanges
from tfkafka.reading.sharding import Shard, check_shard


def own_shard(shard: Shard | None) -> tuple[int, int] | None:
    """Check a shard, and return it; for "jax" the one of this process.

    Raises TypeError, ValueError where it is none, and ValueError where JAX is missing.
    """
    if shard is None:
        return None
    # An array would be compared entry by entry.
    if not isinstance(shard, str) or shard != "jax":
        return check_shard("shard", shard)
    jax = _jax()
    return jax.process_index(), jax.process_count()


def ranges_of_first_process(pin: Callable[[], TopicRanges]) -> TopicRanges:
    """Return in each process the ranges that `pin` returns in process 0.

    Every process of JAX has to call it: the others wait.
    """
    from jax.experimental.multihost_utils import broadcast_one_to_all

    own = json.dumps(asdict(pin())).encode() if _jax().process_index() == 0 else b""
    # As bytes: JAX makes int32 of int64, which offsets may exceed.
    size = int(broadcast_one_to_all(np.int32(len(own))))
    sent = np.frombuffer(own.ljust(size, b" "), np.uint8)
    content = json.loads(np.asarray(broadcast_one_to_all(sent)).tobytes())
    ranges = tuple(OffsetRange(**each) for each in content["ranges"])
    return TopicRanges(Identity(**content["identity"]), ranges)


def _jax() -> Any:
    try:
        import jax
    except ImportError as error:
        raise ValueError(
            f'shard is "jax", and JAX cannot be imported ({error}): pip install jax, or give '
            f"(index, count)"
        ) from None
    return jax
