"""The tutorial's way to read for a model, in a process of its own that records what it is given.

tensorflow-io's group dataset, with the tutorial's own settings; the offsets are committed by its
librdkafka, every 5 s. The value of a record is its number in digits.
"""

from __future__ import annotations

import contextlib
import os
import signal

from tests.tutorial import GROUP_CONFIGURATION
from tfkafka import Admin
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for
from tfkafka.testing.checker import Recorder

STREAM_TIMEOUT_MS = 10_000
BATCH_SIZE = 64
AUTO_COMMIT_S = 5.0


def die_after(
    servers: str, topic: str, group: str, folder: str, batches: int, committed: bool
) -> None:
    """Give the model some batches, and be killed -9: behind the next commit, or before it."""
    recorder = Recorder(folder, topic)
    settings = [] if committed else ["auto.commit.interval.ms=300000"]
    # Held on to: letting go of an iterator waits for the poll that is under way.
    iterator = iter(_batches(servers, topic, group, settings))
    for _ in range(batches):
        _record(recorder, next(iterator))
    if committed:
        admin = Admin(servers)
        # A reader that commits no more than was seen gets three chances to do otherwise.
        with contextlib.suppress(TfkafkaError):
            wait_for(
                lambda: _committed(admin, group) > batches * BATCH_SIZE,
                "a commit beyond what was seen",
                3 * AUTO_COMMIT_S,
            )
        recorder.committed(0, _committed(admin, group))
    os.kill(os.getpid(), signal.SIGKILL)


def read_to_the_end(servers: str, topic: str, group: str, folder: str) -> None:
    """The same command again: until the stream is over."""
    with Recorder(folder, topic) as recorder:
        for messages in _batches(servers, topic, group, []):
            _record(recorder, messages)


def _batches(servers: str, topic: str, group: str, configuration: list[str]):
    import tensorflow_io as tfio

    dataset = tfio.experimental.streaming.KafkaGroupIODataset(
        topics=[topic],
        group_id=group,
        servers=servers,
        stream_timeout=STREAM_TIMEOUT_MS,
        configuration=[*GROUP_CONFIGURATION, *configuration],
    )
    return dataset.map(lambda message, _key: message).batch(BATCH_SIZE)


def _record(recorder: Recorder, messages) -> None:
    # A dataset of tensorflow-io tells no offsets: the judge finds the records by their numbers.
    recorder.delivered(-1, -1, [int(message) for message in messages.numpy()])


def _committed(admin: Admin, group: str) -> int:
    rows = admin.describe_group(group)
    return rows[0].committed or 0 if rows else 0
