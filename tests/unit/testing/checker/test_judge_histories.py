"""The judge and a simple one that looks at each record alone agree on random histories."""

from __future__ import annotations

import numpy as np

from tfkafka.testing.checker import ANOMALIES, Recorder, judge, operations

TOPIC = "t"


def test_histories_at_random_against_a_simple_judge(tmp_path, monkeypatch):
    """Readers that leave out, repeat, go back, swap, commit too early; in files of many chunks."""
    monkeypatch.setattr(operations, "CHUNK_OPERATIONS", 50)
    random = np.random.default_rng(5)
    for turn in range(20):
        first, count = 4000, int(random.integers(1, 200))  # across the border of two blocks
        everything = range(first, first + count)
        with Recorder(tmp_path / str(turn), TOPIC) as producer:
            producer.acknowledged(0, everything)
        events = []
        for reader in range(random.integers(1, 4)):
            with Recorder(tmp_path / str(turn), TOPIC) as consumer:
                for step in _steps_at_random(random, first, count):
                    getattr(consumer, step[0])(0, step[1])
                    events.append((reader, *step))
        expected = _judge_simply(everything, events)
        assert judge(tmp_path / str(turn)).counts == {a: len(o) for a, o in expected.items()}


def _steps_at_random(random, first: int, count: int) -> list[tuple[str, int]]:
    steps, position = [], int(random.integers(first, first + count))
    while position < first + count:
        kind = random.random()
        if kind < 0.03:
            position = max(first, position - int(random.integers(1, 30)))
        elif kind < 0.08:
            position += 1
        elif kind < 0.12:
            steps.append(("committed", position + int(random.integers(-2, 3))))
        elif kind < 0.2 and position + 1 < first + count:
            steps += [("delivered", position + 1), ("delivered", position)]
            position += 2
        else:
            steps.append(("delivered", position))
            position += 1
    return steps


def _judge_simply(everything: range, events: list[tuple[int, str, int]]) -> dict[str, set[int]]:
    expected = {anomaly: set() for anomaly in ANOMALIES}
    for offset in everything:
        uses, passes = [], []
        for index, (_, kind, at) in enumerate(events):
            if kind == "delivered" and at == offset:
                uses.append(index)
            elif kind == "committed" and at > offset:
                passes.append(index)
        if not uses:
            expected["lost"].add(offset)
        if len(uses) > 1:
            expected["duplicated"].add(offset)
        if passes and (not uses or passes[0] < uses[0]):
            expected["skipped"].add(offset)
    for reader in {event[0] for event in events}:
        order = [at for who, kind, at in events if who == reader and kind == "delivered"]
        for index, offset in enumerate(order):
            if index and offset < max(order[:index]) and offset not in order[:index]:
                expected["reordered"].add(offset)
    return expected
