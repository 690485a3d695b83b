"""The scenarios by name, and how each of them is to be played and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.histories.history import IN_ORDER, Story
from tests.histories.stage import SharedTopic, Stage


@dataclass(frozen=True)
class Scenario:
    """A script that tells a story.

    Attributes:
        order: see `history.first_difference`.
        kills: it ends the broker and starts it again, so it has one that nobody else uses.
        online: it calls `learn`, which makes TensorFlow deterministic for the whole process.
    """

    name: str
    play: Callable[[Stage, Story, SharedTopic], None]
    order: str
    kills: bool
    online: bool


SCENARIOS: dict[str, Scenario] = {}


def add(name: str, play: Callable, order: str, kills: bool, online: bool) -> None:
    """Add a scenario; `play` is called with the stage, the story and the compacted topic."""
    if name in SCENARIOS:
        raise ValueError(f"there are two scenarios named {name}")
    SCENARIOS[name] = Scenario(name, play, order, kills, online)


def scenario(order: str = IN_ORDER, kills: bool = False, online: bool = False) -> Callable:
    """Add the decorated function, which is called with a stage and a story, under its own name."""

    def register(play: Callable[[Stage, Story], None]):
        def alone(stage: Stage, story: Story, _compacted: SharedTopic) -> None:
            play(stage, story)

        add(play.__name__, alone, order, kills, online)
        return play

    return register
