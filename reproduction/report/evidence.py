"""Each claim of the tutorial with everything that was seen of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reproduction import readers
from reproduction.claims import judge_claim, of_its_time, read_claims
from reproduction.report.sources import TEST_NAME, TestRun
from tfkafka.testing.claims import (
    FAILS,
    HOLDS,
    KNOWN_FALSE,
    NOT_RUN,
    SHOWN,
    WORST_FIRST,
    Claim,
    Verdict,
    worst,
)

FIRST_STEP_OF_A_READER = 8


@dataclass(frozen=True)
class Sighting:
    """What was seen of a claim, by whom: `where` names a run of the tutorial or tests.

    `reader` is one of `readers.NAMES`, or "" where none took part; `tests` are those that saw it.
    """

    verdict: Verdict
    where: str
    reader: str = ""
    tests: tuple[str, ...] = ()

    @property
    def remark(self) -> str:
        """Who saw it; or why there is nothing that could be judged."""
        return self.verdict.why if self.verdict.status == NOT_RUN else self.where


@dataclass(frozen=True)
class Evidence:
    """A claim and all sightings, of which there is at least one (which may be "not run")."""

    claim: Claim
    sightings: list[Sighting]

    @property
    def status(self) -> str:
        """The worst of the sightings' verdicts."""
        return worst(sighting.verdict.status for sighting in self.sightings)

    @property
    def judged(self) -> list[Sighting]:
        """What could be held against the claim."""
        return [sighting for sighting in self.sightings if sighting.verdict.status != NOT_RUN]

    @property
    def is_of_no_reader(self) -> bool:
        """Whether no reader took part in anything that was seen."""
        return not any(sighting.reader for sighting in self.sightings)

    @property
    def reasons(self) -> list[str]:
        """Why it is false, or not judged; each reason once."""
        seen = self.judged or self.sightings
        return list(dict.fromkeys(s.verdict.why for s in seen if s.verdict.why))

    @property
    def tests(self) -> list[str]:
        """The tests that show it."""
        named = [self.claim.test] if self.claim.test else []
        return list(dict.fromkeys([*named, *(t for s in self.sightings for t in s.tests)]))

    def of(self, reader: str) -> Evidence:
        """Return it without what was seen with another reader."""
        seen = [sighting for sighting in self.sightings if sighting.reader in (reader, "")]
        return Evidence(self.claim, _merged(seen) or [_unseen(self.claim, reader)])


def gather(runs: Iterable[Mapping[str, Any]], tests: Iterable[TestRun]) -> list[Evidence]:
    """Return evidence for each claim, in the tutorial's order.

    `runs` are observations of runs of the tutorial, `tests` those of runs of pytest.
    """
    seen = [("tutorial", facts) for facts in runs]
    seen += [("tests", facts) for test_run in tests for facts in test_run.observations]
    present = {facts.get("run.reader", "") for _, facts in seen}
    columns = [reader for reader in readers.NAMES if reader in present]
    return [_evidence(claim, columns, seen) for claim in read_claims()]


def readers_of(evidence: Iterable[Evidence]) -> list[str]:
    """Return the readers with which anything was tried."""
    present = {sighting.reader for found in evidence for sighting in found.sightings}
    return [reader for reader in readers.NAMES if reader in present]


def count(evidence: list[Evidence]) -> dict[str, int]:
    """How many claims have each status."""
    return {status: sum(e.status == status for e in evidence) for status in WORST_FIRST}


def summary(evidence: list[Evidence]) -> str:
    """The counts in one line."""
    counts = count(evidence)
    judged = counts[HOLDS] + counts[KNOWN_FALSE] + counts[FAILS]
    return (
        f"{judged} of the tutorial's {len(evidence)} claims checked: {counts[HOLDS]} hold, "
        f"{counts[KNOWN_FALSE]} are known to be false, {counts[FAILS]} do not hold; "
        f"{counts[SHOWN]} only shown, {counts[NOT_RUN]} not run or not comparable"
    )


def unchecked(evidence: Iterable[Evidence]) -> dict[str, int]:
    """Return for each reason how many claims were not checked for it, the commonest first."""
    reasons = Counter(e.sightings[0].verdict.why for e in evidence if e.status == NOT_RUN)
    return dict(reasons.most_common())


def _evidence(
    claim: Claim, columns: Sequence[str], seen: Sequence[tuple[str, Mapping[str, Any]]]
) -> Evidence:
    """Return what was seen of a claim, in order of the readers; what none needs comes first."""
    sightings = [_sighting(claim, who, facts) for who, facts in seen if claim.id in facts]
    if claim.page < FIRST_STEP_OF_A_READER:
        sightings = [replace(sighting, reader="") for sighting in sightings]
        columns = []
    found = _best([s for s in sightings if not s.reader])
    is_seen = bool(found)
    for reader in columns:
        of_reader = _best([s for s in sightings if s.reader == reader])
        found += of_reader or ([] if is_seen else [_unseen(claim, reader)])
    return Evidence(claim, found or [_unseen(claim)])


def _sighting(claim: Claim, who: str, facts: Mapping[str, Any]) -> Sighting:
    then = of_its_time(claim, facts)
    kafka = [f"Kafka {then['run.kafka']}"] if then.get("run.kafka") else []
    tests = (facts[TEST_NAME],) if TEST_NAME in facts else ()
    where = ", ".join([who, *kafka])
    return Sighting(judge_claim(claim, facts), where, then.get("run.reader", ""), tests)


def _unseen(claim: Claim, reader: str = "") -> Sighting:
    return Sighting(judge_claim(claim, {}), "", reader)


def _best(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return what was judged; else what was at least seen; else why nothing was."""
    judged = [s for s in sightings if s.verdict.status != NOT_RUN]
    seen = [s for s in sightings if s.verdict.observed is not None]
    return _merged(judged) or list((seen or sightings)[:1])


def _merged(sightings: Iterable[Sighting]) -> list[Sighting]:
    """One for all that saw the same and were judged the same."""
    merged: dict[str, Sighting] = {}
    for sighting in sightings:
        key = repr((sighting.verdict.status, sighting.verdict.why, sighting.verdict.observed))
        first = merged.setdefault(key, sighting)
        where = dict.fromkeys([*first.where.split("; "), *sighting.where.split("; ")])
        tests = dict.fromkeys([*first.tests, *sighting.tests])
        merged[key] = replace(first, where="; ".join(where), tests=tuple(tests))
    return list(merged.values())
