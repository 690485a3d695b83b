"""Carries out the faults of a plan, and heals them."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.chaos.arena import AGAIN, KEPT, SHORTENED, Arena
from tests.chaos.plan import Fault, Kind

Heal = Callable[[], None]


def inflict(arena: Arena, fault: Fault) -> Heal:
    """Begin a fault, and return what heals it."""
    return _FAULTS[fault.kind](arena, fault)


def _kill_broker(arena: Arena, fault: Fault) -> Heal:
    arena.cluster.kill(fault.target)
    return lambda: arena.cluster.restart(fault.target)


def _pause_broker(arena: Arena, fault: Fault) -> Heal:
    arena.cluster.pause(fault.target)
    return lambda: arena.cluster.resume(fault.target)


def _cut_broker(arena: Arena, fault: Fault) -> Heal:
    proxy = arena.proxies[fault.target]
    proxy.refuse()
    return proxy.allow


def _restart_broker(arena: Arena, fault: Fault) -> Heal:
    arena.cluster.restart(fault.target)
    return lambda: None


def _kill_reader(arena: Arena, fault: Fault) -> Heal:
    reader = arena.readers[fault.target]
    reader.kill()
    reader.start()
    return lambda: None


def _pause_reader(arena: Arena, fault: Fault) -> Heal:
    return _paused(arena, fault.target)


def _add_partition(arena: Arena, _fault: Fault) -> Heal:
    arena.add_partition(KEPT)
    return lambda: None


def _recreate(arena: Arena, fault: Fault) -> Heal:
    """Delete and create the topic between two writes; the records that follow say so."""
    resume = _paused(arena, AGAIN) if fault.frozen else lambda: None
    writer = arena.writers[AGAIN]
    with writer.may_write:
        arena.admin.delete_topic(AGAIN)
        arena.create(AGAIN)
        writer.incarnation += 1
    return resume


def _delete_records(arena: Arena, _fault: Fault) -> Heal:
    """Delete what is written while the reader is paused."""
    resume = _paused(arena, SHORTENED)

    def heal() -> None:
        arena.delete_records(SHORTENED)
        resume()

    return heal


def _paused(arena: Arena, name: str) -> Heal:
    reader = arena.readers[name]
    reader.send(signal.SIGSTOP)
    return lambda: reader.send(signal.SIGCONT)


_FAULTS: dict[Kind, Callable[[Arena, Fault], Heal]] = {
    Kind.KILL_BROKER: _kill_broker,
    Kind.PAUSE_BROKER: _pause_broker,
    Kind.CUT_BROKER: _cut_broker,
    Kind.RESTART_BROKER: _restart_broker,
    Kind.KILL_READER: _kill_reader,
    Kind.PAUSE_READER: _pause_reader,
    Kind.ADD_PARTITION: _add_partition,
    Kind.RECREATE: _recreate,
    Kind.RETENTION: _delete_records,
}
