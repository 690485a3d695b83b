"""A history: what was delivered, committed and raised; how it is written down and compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.histories.product import causes

IN_ORDER = "in order"
BY_PARTITION = "by partition"
STEP = "# "
_PLACE = re.compile(r"(?:((?:[a-z]+/)?\d+):(\d+):)?(\d+)")
_RUN = " to "
_SHORTEST_RUN = 3

History = dict[str, list[str]]


@dataclass
class Story:
    """A history while it is made.

    Elements are "partition:offset:value", "topic/partition:offset:value", or the value alone where
    the reader does not say where a record is from. Lines that begin with "# " are steps of the
    script, and facts about all elements of a step.
    """

    normalise: Callable[[str], str] = str
    elements: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        """Begin a step of the script, or state a fact."""
        self.elements.append(STEP + text)

    def deliver(self, elements: Iterable[str]) -> None:
        """Note elements one by one, also those before an error."""
        for element in elements:
            self.elements.append(element)

    def deliver_sorted(self, elements: Iterable[str]) -> None:
        """Note elements whose order the script does not determine; repeated ones stay repeated."""
        self.elements += sorted(elements, key=_sorting_key)

    def commit(self, when: str, offsets: Mapping[int, int]) -> None:
        """Note what a group has committed."""
        pairs = [f"{partition}={offset}" for partition, offset in sorted(offsets.items())]
        self.commits.append(f"{when}: {' '.join(pairs) or 'nothing'}")

    def error(self, error: BaseException, dataset: object = None, text: bool = True) -> None:
        """Note an error, and the one in the place of which TensorFlow has put it.

        Args:
            dataset: what was iterated, if it keeps its error.
            text: False where the script does not determine the text.
        """
        found = list(causes(error, dataset))
        names = " from ".join(type(cause).__name__ for cause in found)
        said = f": {self.normalise(str(found[-1]))}" if text else ""
        self.errors.append(names + said)

    def history(self) -> History:
        """Return the JSON value."""
        return {
            "elements": shortened(map(self.normalise, self.elements)),
            "commits": list(self.commits),
            "errors": list(self.errors),
        }


def shortened(elements: Iterable[str]) -> list[str]:
    """Write consecutive records as "first to last"."""
    lines: list[str] = []
    run: list[str] = []
    for element in elements:
        if run and element != _next(run[-1]):
            lines += _line(run)
            run = []
        run.append(element)
    return lines + _line(run)


def expanded(lines: Iterable[str]) -> Iterator[str]:
    """Undo `shortened`."""
    for line in lines:
        element, _, last = line.partition(_RUN) if not line.startswith(STEP) else (line, "", "")
        yield element
        while last and element != last:
            element = _next(element)
            yield element


def first_difference(recorded: History, now: History, order: str) -> str | None:
    """Return where two histories differ first, or None.

    Args:
        order: IN_ORDER, or BY_PARTITION where only the order within a partition is determined.
    """
    for part in ("errors", "commits", "elements"):
        before, after = recorded[part], now[part]
        if part == "elements":
            before, after = list(expanded(before)), list(expanded(after))
            if order == BY_PARTITION:
                before, after = _by_partition(before), _by_partition(after)
        if before != after:
            return _difference(part, before, after)
    return None


def _difference(part: str, before: list[str], after: list[str]) -> str:
    pairs = zip(before, after, strict=False)
    place = next((i for i, (old, new) in enumerate(pairs) if old != new), None)
    if place is None:
        place = min(len(before), len(after))
    old, new = (lines[place] if place < len(lines) else "its end" for lines in (before, after))
    sizes = f" ({len(before)} before, {len(after)} now)" if len(before) != len(after) else ""
    return f"{part}[{place}]: was {old!r}, is {new!r}{sizes}"


def _by_partition(elements: list[str]) -> list[str]:
    """Sort the elements of each step by partition, each partition's in their order."""
    ordered: list[str] = []
    step: list[str] = []
    for element in [*elements, STEP]:
        if element.startswith(STEP):
            ordered += sorted(step, key=lambda one: one.partition(":")[0])
            ordered.append(element)
            step = []
        else:
            step.append(element)
    return ordered[:-1]


def _line(run: list[str]) -> list[str]:
    return run if len(run) < _SHORTEST_RUN else [f"{run[0]}{_RUN}{run[-1]}"]


def _next(element: str) -> str | None:
    """Return the element of the next record, where values count up as offsets do."""
    match = _PLACE.fullmatch(element)
    if match is None:
        return None
    partition, offset, value = match.groups()
    following = str(int(value) + 1)
    return following if offset is None else f"{partition}:{int(offset) + 1}:{following}"


def _sorting_key(element: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part) for part in element.split(":")]
