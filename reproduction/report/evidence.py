"""Each claim of the tutorial with everything that was seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reproduction import readers
from reproduction.claims import (
    FAILS,
    HOLDS,
    KNOWN_FALSE,
    NOT_RUN,
    SHOWN,
    Claim,
    Verdict,
    judge_claim,
    of_its_time,
    read_claims,
)
from reproduction.report.sources import TestRun

FIRST_STEP_OF_A_READER = 8
WORST_FIRST = (FAILS, KNOWN_FALSE, HOLDS, SHOWN, NOT_RUN)


@dataclass(frozen=True)
class Sighting:
    """What was seen of a claim, by whom: `where` names a run of the tutorial or tests."""

    verdict: Verdict
    where: str

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
        return min((s.verdict.status for s in self.sightings), key=WORST_FIRST.index)


def gather(observations: Mapping[str, Any], tests: list[TestRun]) -> list[Evidence]:
    """Evidence for each claim, in the tutorial's order."""
    return [_evidence(claim, observations, tests) for claim in read_claims()]


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


def _evidence(claim: Claim, observations: Mapping[str, Any], tests: list[TestRun]) -> Evidence:
    run = judge_claim(claim, observations)
    by_run = Sighting(run, _where("tutorial", claim, observations))
    by_tests = [
        Sighting(judge_claim(claim, seen), _where("tests", claim, seen))
        for test_run in tests
        for seen in test_run.observations
        if claim.id in seen
    ]
    judged = [s for s in (by_run, *by_tests) if s.verdict.status != NOT_RUN]
    return Evidence(
        claim,
        _merged(judged) or [by_run if run.observed is not None or not by_tests else by_tests[0]],
    )


def _where(who: str, claim: Claim, facts: Mapping[str, Any]) -> str:
    """Such as "tests, tfkafka, Kafka 3.9.2"."""
    facts = of_its_time(claim, facts)
    reader = facts.get("run.reader")
    kafka = facts.get("run.kafka")
    parts = [who]
    if reader and (claim.step >= FIRST_STEP_OF_A_READER):
        parts.append(readers.NAMES.get(reader, reader))
    if kafka:
        parts.append(f"Kafka {kafka}")
    return ", ".join(parts)


def _merged(sightings: list[Sighting]) -> list[Sighting]:
    """One for all that saw the same and were judged the same."""
    merged: dict[str, Sighting] = {}
    for sighting in sightings:
        key = repr((sighting.verdict.status, sighting.verdict.why, sighting.verdict.observed))
        first = merged.get(key)
        if first and sighting.where not in first.where.split("; "):
            sighting = Sighting(first.verdict, f"{first.where}; {sighting.where}")
        elif first:
            continue
        merged[key] = sighting
    return list(merged.values())
