"""Data folders with a cluster's id, which KRaft requires, without Kafka's tool for each of them.

The tool takes 0.6 s of CPU. What it makes of two folders differs in ids and times alone (seen with
3.9.2 and 4.4.0), so the first folder of a version is kept beside the jars, and others are copies of
it with ids of their own. No start fails for want of it.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import jars

META = "meta.properties"


def cluster_id(data: Path) -> str | None:
    """Return the id with which a data folder was formatted, or None where it was not."""
    path = data / META
    if not path.exists():
        return None
    found = re.search(r"^cluster\.id=(.*)$", path.read_text(), re.MULTILINE)
    if found is None:
        raise BrokerError(f"{path} names no cluster: delete the folder {data.parent.parent}")
    return found[1]


def new_id() -> str:
    """Return a new id that does not begin with "-", which Kafka's tool would parse as a flag."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made


def copy(lock: jars.Lock, data: Path, cluster: str, number: int) -> bool:
    """Format a data folder by copying, and return whether that could be done.

    Args:
        data: is left alone where it exists: it may hold what must not be lost.
        cluster: the cluster's id.
        number: the broker's id.
    """
    scratch = data.with_name(".formatting")
    with suppress(OSError):
        if data.exists():
            return False
        shutil.rmtree(scratch, ignore_errors=True)  # of a start that was killed
        shutil.copytree(_kept(lock), scratch)
        ids = {"cluster.id": cluster, "directory.id": new_id(), "node.id": str(number)}
        meta = (scratch / META).read_text()
        for name, value in ids.items():
            meta = re.sub(rf"(?m)^{re.escape(name)}=.*$", f"{name}={value}", meta)
        (scratch / META).write_text(meta)
        os.rename(scratch, data)
        return True
    shutil.rmtree(scratch, ignore_errors=True)
    return False


def keep(lock: jars.Lock, data: Path) -> None:
    """Keep a folder that Kafka's tool has formatted and no broker has used."""
    kept = _kept(lock)
    scratch = kept.with_name(f".formatted-{os.getpid()}")
    with suppress(OSError):  # the folder cannot be written, or another process was quicker
        shutil.copytree(data, scratch)
        os.rename(scratch, kept)
    shutil.rmtree(scratch, ignore_errors=True)


def _kept(lock: jars.Lock) -> Path:
    return jars.folder_of(lock) / "formatted"
