"""What a report says, before it has a form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reproduction import readers
from reproduction.report import evidence, facts
from reproduction.report.evidence import Evidence
from reproduction.report.history import Result
from reproduction.report.sources import Sources
from tfkafka.testing.claims import FAILS, HOLDS, KNOWN_FALSE, NOT_RUN, SHOWN

# Such as "6 are false" in the plural, with the verb of one.
VERBS = {
    HOLDS: ("holds", "hold"),
    FAILS: ("does not hold", "do not hold"),
    KNOWN_FALSE: ("is false", "are false"),
    NOT_RUN: ("was not checked", "were not checked"),
    SHOWN: ("is only shown", "are only shown"),
}
IN_THE_HEADLINE = (HOLDS, FAILS, KNOWN_FALSE, NOT_RUN, SHOWN)


@dataclass(frozen=True)
class Contents:
    """All of it. `history_fault` says why there is no history, in one line."""

    claims: list[Evidence]
    sources: Sources
    written: str
    history: list[Result] = field(default_factory=list)
    history_fault: str = ""

    @property
    def readers(self) -> list[str]:
        """Those with which anything was tried."""
        return evidence.readers_of(self.claims)

    @property
    def reader_heads(self) -> list[str]:
        """Heads of the columns that say what was seen, one for each reader."""
        return [readers.NAMES[reader] for reader in self.readers] or ["seen here"]

    @property
    def not_so(self) -> list[Evidence]:
        """The claims that are false."""
        return [found for found in self.claims if found.status in (FAILS, KNOWN_FALSE)]

    @property
    def headline(self) -> str:
        """How many claims hold, and how many were not checked."""
        counts = evidence.count(self.claims)
        rest = [_counted(counts[status], status) for status in IN_THE_HEADLINE[1:]]
        first = _counted(counts[HOLDS], HOLDS, f" of the tutorial's {len(self.claims)} claims")
        return ", ".join([first, *filter(None, rest)])

    @property
    def lead(self) -> list[str]:
        """Sentences: what was compared, and what came out."""
        return [self._compared(), *self._outcomes(), *self._failures(), *self._unchecked()]

    def by_reader(self) -> list[tuple[str, dict[str, int]]]:
        """Return the readers' names, each with how many claims have each status."""
        return [
            (readers.NAMES[reader], evidence.count([found.of(reader) for found in self.claims]))
            for reader in self.readers
        ]

    def fault_sum(self, name: str) -> int:
        """Return the sum of a field of the faults that befell tfkafka."""
        ours = [fault for fault in self.sources.faults if "tensorflow-io" not in fault.what]
        return sum(getattr(fault, name) or 0 for fault in ours)

    def _compared(self) -> str:
        names = [readers.NAMES[reader] for reader in self.readers]
        if "tfio" in self.readers and "tfkafka" in self.readers:
            names = ["tensorflow-io, its own reader,", "tfkafka, which replaces it"]
        using = f" with {' and with '.join(names)}" if names else ""
        if runs := self.sources.runs.values():
            kinds = dict.fromkeys(", ".join(facts.conditions(seen)) for seen in runs)
            under = f" ({'; '.join(filter(None, kinds))})" if any(kinds) else ""
            return (
                f"The TensorFlow-IO Kafka tutorial was run here on a real Kafka{under}{using}. "
                f"What was seen was compared with what the tutorial says."
            )
        if any(run.observations for run in self.sources.tests):
            return (
                f"Tests compared what the TensorFlow-IO Kafka tutorial says with what they saw on "
                f"a real Kafka{using}; the tutorial itself was not run."
            )
        return "Nothing was run here yet, so nothing was compared with what the tutorial says."

    def _outcomes(self) -> list[str]:
        """Return how it came out with each reader."""
        told = []
        for name, counts in self.by_reader():
            parts = [_counted(counts[status], status) for status in (KNOWN_FALSE, FAILS)]
            first = _counted(counts[HOLDS], HOLDS, " claim" if counts[HOLDS] == 1 else " claims")
            told.append(f"with {name} {_and([first, *filter(None, parts)])}")
        sentence = "; ".join(told)
        return [f"{sentence[0].upper()}{sentence[1:]}."] if told else []

    def _failures(self) -> list[str]:
        return [
            f"With {readers.NAMES.get(reader, reader)}, {seen['run.failed']} failed, and what "
            f"comes after it was not run."
            for reader, seen in self.sources.runs.items()
            if seen.get("run.failed")
        ]

    def _unchecked(self) -> list[str]:
        reasons = evidence.unchecked(self.claims)
        listed = "; ".join(f"{count} \u00d7 {why}" for why, count in reasons.items())
        return [f"Not checked: {listed}."] if listed else []


def contents_of(
    sources: Sources, written: str, history: Sequence[Result] = (), history_fault: str = ""
) -> Contents:
    """Return what a report of these sources says."""
    claims = evidence.gather(sources.runs.values(), sources.tests)
    return Contents(claims, sources, written, list(history), history_fault)


def _counted(number: int, status: str, of: str = "") -> str:
    return f"{number}{of} {VERBS[status][number != 1]}" if number or of else ""


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
