"""Everything that the histories use of the product; no other module of theirs imports tfkafka.

Each name is looked for at its new place first and then at the old one, so that the same scenarios
run on the code before the rebuild and after it.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
from collections.abc import Iterator
from typing import Any


def _find(name: str, *homes: str) -> Any:
    """Return `name`, or "new|old" names, from the first of these modules that has it.

    Where a module has the name of a function (`tfkafka.write` once was one), the module is no find.
    """
    for home, each in itertools.product(homes, name.split("|")):
        try:
            found = getattr(importlib.import_module(home), each, None)
        except ModuleNotFoundError:
            continue
        if found is not None and not inspect.ismodule(found):
            return found
    raise ImportError(f"{name} is in none of {', '.join(homes)}")


CommitCallback = _find("CommitCallback", "tfkafka")
CsvDecoder = _find("CsvDecoder", "tfkafka")
KafkaGroupDataset = _find("KafkaGroupDataset", "tfkafka")
headers_of = _find("headers_of", "tfkafka")
write = _find("write", "tfkafka", "tfkafka.write")
Admin = _find("Admin", "tfkafka", "tfkafka.admin")
ExactlyOnceInference = _find("ExactlyOnceInference", "tfkafka", "tfkafka.exactly_once")
Job = _find("InferenceJob|Job", "tfkafka", "tfkafka.exactly_once")
keras_predict = _find("keras_predict", "tfkafka.exactly_once", "tfkafka.predictions")
Stream = _find("Stream", "tfkafka", "tfkafka.online")
learn = _find("learn", "tfkafka", "tfkafka.online")
start_broker = _find("start", "tfkafka.testing.brokers.embedded")
tfio = importlib.import_module("tfkafka.tfio")
_HAS_OLD_NAMES = not hasattr(importlib.import_module("tfkafka"), "KafkaMiniBatchDataset")


KafkaDataset = _find("KafkaDataset", "tfkafka")
KafkaBatchDataset = _find("KafkaMiniBatchDataset|KafkaBatchDataset", "tfkafka")
if not _HAS_OLD_NAMES:
    from tfkafka import config
    from tfkafka.data.groups import PRODUCERS_BATCH
    from tfkafka.tfio.offsets import bound

    class KafkaBatchDataset(KafkaBatchDataset):
        """Takes the records of a mini dataset as a setting, as before."""

        def __init__(
            self, topics, group_id, servers=None, stream_timeout=-1, configuration=None, **options
        ):
            settings = config.parse(configuration)
            records = int(settings.pop(PRODUCERS_BATCH, 10_000))
            super().__init__(
                topics, group_id, servers, stream_timeout, settings, records=records, **options
            )

    class KafkaDataset(KafkaDataset):
        """Takes the arguments of before: partition 0, and numbers that are no offsets."""

        def __init__(self, topic, partition=0, offset=0, *, start=None, stop=-1, **options):
            begin = offset if start is None else start
            super().__init__(
                topic, partition, start=bound("start", begin), stop=bound("stop", stop), **options
            )


def poisoned(policy: str, topic: str | None = None) -> dict[str, Any]:
    """Return the arguments that say what to do with records that cannot be decoded.

    Args:
        policy: "fail", "skip" or "quarantine".
        topic: of the quarantine.
    """
    if _HAS_OLD_NAMES:
        return {"on_poison": policy, "quarantine_topic": topic}
    new = {"fail": "error", "quarantine": "dead_letter"}.get(policy, policy)
    return {"on_bad_record": new, "dead_letter_topic": topic}


def counted(counts: Any) -> str:
    """Return the counts of a dataset or a worker as text."""
    return (
        f"read {counts.read}, used {counts.used}, skipped {counts.skipped}, "
        f"quarantined {counts.quarantined if _HAS_OLD_NAMES else counts.dead_lettered}"
    )


def causes(error: BaseException, dataset: Any = None) -> Iterator[BaseException]:
    """Yield an error as its caller gets it, and the one that TensorFlow has put it in place of.

    Args:
        dataset: what was iterated, or None.
    """
    yield error
    behind = getattr(dataset, "error", None)
    if behind is not None and behind is not error:
        yield behind
