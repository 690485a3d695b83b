"""The processes of JAX: their numbers, and what they send each other.

No other module imports JAX.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import OffsetRange
from tfkafka.reading.ranges import Identity, TopicRanges
from tfkafka.reading.sharding import Shard, check_shard

# One message between devices; a longer one is sent in parts, so that its copies stay small.
MESSAGE_BYTES = 64 << 20
SHORT_BYTES = 1024


def own_shard(shard: Shard | None, name: str = "shard") -> tuple[int, int] | None:
    """Check a shard, the argument `name`, and return it; for "jax" the one of this process.

    Raises TypeError, ValueError where it is none, and ValueError where JAX is missing.
    """
    if shard is None:
        return None
    # An array would be compared entry by entry.
    if not isinstance(shard, str) or shard != "jax":
        return check_shard(name, shard)
    return own_process(f'{name} is "jax"')


def own_process(why: str) -> tuple[int, int]:
    """Return the index of this process of JAX, and their number.

    Args:
        why: what needs JAX, for the ValueError where that is missing.
    """
    try:
        import jax
    except ImportError as error:
        raise ValueError(
            f"{why}, and JAX cannot be imported ({error}): pip install jax, or give (index, count)"
        ) from None
    return jax.process_index(), jax.process_count()


def device_count() -> int:
    """Return the number of devices of all processes together."""
    import jax

    return int(jax.device_count())


def ranges_of_first_process(pin: Callable[[], TopicRanges]) -> TopicRanges:
    """Return in each process the ranges that `pin` returns in process 0.

    Every process of JAX has to call it: the others wait.
    """
    index, _ = own_process('shard is "jax"')
    own = json.dumps(asdict(pin())).encode() if index == 0 else b""
    content = json.loads(bytes_of_first_process(own))
    ranges = tuple(OffsetRange(**each) for each in content["ranges"])
    return TopicRanges(Identity(**content["identity"]), ranges)


def bytes_of_first_process(own: bytes) -> bytes:
    """Return in each process the bytes that process 0 gives. Every process has to call it."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    # As bytes: JAX makes int32 of int64, which offsets may exceed.
    size = int(np.asarray(broadcast_one_to_all(_as_bytes([len(own)]))).view(np.int64)[0])
    found = []
    for start in range(0, size, MESSAGE_BYTES):
        length = min(MESSAGE_BYTES, size - start)
        sent = _filled(own[start : start + length], length)
        found.append(np.asarray(broadcast_one_to_all(sent)).tobytes()[:length])
    return b"".join(found)


def bytes_of_each_process(own: bytes) -> list[bytes]:
    """Return in each process what each of them gives. Every process has to call it."""
    from jax.experimental.multihost_utils import process_allgather

    sizes = numbers_of_each_process([len(own)])[:, 0].tolist()
    sent = np.asarray(process_allgather(_filled(own, max(sizes))))
    return [row.tobytes()[:size] for row, size in zip(sent, sizes, strict=True)]


def numbers_of_each_process(own: Sequence[int]) -> NDArray[np.int64]:
    """Return in each process the n numbers that each gives, int64 [processes, n].

    Every process has to call it.
    """
    from jax.experimental.multihost_utils import process_allgather

    gathered: NDArray[Any] = np.asarray(process_allgather(_as_bytes(own)))
    return gathered.view(np.int64)


def _as_bytes(numbers: Sequence[int]) -> NDArray[np.uint8]:
    return np.array(numbers, np.int64).view(np.uint8)


def _filled(content: bytes, size: int) -> NDArray[np.uint8]:
    """Return bytes of one of a few lengths, for each of which JAX compiles once."""
    length = max(SHORT_BYTES, 1 << (size - 1).bit_length()) if size else SHORT_BYTES
    return np.frombuffer(content.ljust(length, b"\0"), np.uint8)
