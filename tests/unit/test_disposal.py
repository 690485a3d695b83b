"""In which thread things are destroyed."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from pathlib import Path

from tfkafka._util.disposal import destroy_with, wait_until_destroyed


class Thing:
    """May be an owner, and what it owns."""


def owned() -> tuple[Thing, Thing, list[str]]:
    """Return a thing, its owner, and a list for the thread that destroys the thing."""
    thing, owner, destroyed = Thing(), Thing(), []
    destroy_with(owner, thing)
    weakref.finalize(thing, lambda: destroyed.append(threading.current_thread().name))
    owner.thing = thing
    return thing, owner, destroyed


def test_what_nobody_else_has_is_destroyed_at_once():
    thing, owner, destroyed = owned()
    del thing
    del owner
    assert destroyed == ["MainThread"]


def test_what_others_have_is_destroyed_in_another_thread_when_they_are_gone():
    thing, owner, destroyed = owned()
    del owner
    wait_until_destroyed(0.2)
    assert not destroyed
    del thing
    wait_until_destroyed(20)
    assert destroyed == ["tfkafka-destroy"]


COLLECTS_WHERE_IT_IS_CALLED_BACK = """
import gc, threading
from tfkafka._util.disposal import wait_until_destroyed
from tfkafka.client.cluster import Cluster

gc.disable()
called_back = threading.Event()
cluster = Cluster({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, 1000)
answer = cluster.client.describe_cluster(request_timeout=1)
answer.add_done_callback(lambda _: print(gc.collect() > 0, called_back.set()))
cluster.itself = cluster
del cluster
assert called_back.wait(30)
wait_until_destroyed(30)
print([each.name for each in threading.enumerate()])
"""


def test_a_client_may_be_freed_in_its_own_thread():
    """librdkafka aborts the process there."""
    done = subprocess.run(
        [sys.executable, "-c", COLLECTS_WHERE_IT_IS_CALLED_BACK],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True None\n['MainThread', 'tfkafka-destroy']\n"
    assert not done.stderr
