"""In which thread things are destroyed."""

from __future__ import annotations

import threading
import weakref

from tfkafka._util.disposal import destroy_with, wait_until_destroyed


class Thing:
    """May be an owner, and what it owns."""


def test_what_nobody_else_has_is_destroyed_at_once():
    thing, owner, destroyed = Thing(), Thing(), []
    destroy_with(owner, thing)
    weakref.finalize(thing, lambda: destroyed.append(threading.current_thread().name))
    owner.thing = thing
    del thing
    del owner
    assert destroyed == ["MainThread"]


def test_what_others_have_is_destroyed_in_another_thread_when_they_are_gone():
    thing, owner, destroyed = Thing(), Thing(), []
    destroy_with(owner, thing)
    weakref.finalize(thing, lambda: destroyed.append(threading.current_thread().name))
    owner.thing = thing
    del owner
    wait_until_destroyed(0.2)
    assert not destroyed
    del thing
    wait_until_destroyed(20)
    assert destroyed == ["tfkafka-destroy"]
