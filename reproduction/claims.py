"""The tutorial's claims (`claims.toml`), and what its scripts observed held against them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfkafka.testing import claims
from tfkafka.testing.claims import NOT_RUN, Claim, Verdict, show

CLAIMS_FILE = Path(__file__).with_name("claims.toml")
WIDTH = 100
FULL_ROWS = 100_000
# Before the name of what says of a run how it was made; the rest are named by claim id.
RUN = "run."
# Of these, what an observation can be held against depends on.
CONDITIONS = ("run.reader", "run.rows", "run.epochs", "run.kafka", "run.zookeeper")
NOT_SEEN = "seen by no script and no test yet (make reproduce, make test)"


def read_claims() -> list[Claim]:
    """All claims, in the tutorial's order."""
    return claims.read_claims(CLAIMS_FILE)


def judge(observations: Mapping[str, Any]) -> list[Verdict]:
    """Hold each claim against `observations`, which are named by claim id.

    CONDITIONS among them say what kind of run it was, and so which claims can be compared;
    `conditions`, where it is there, has those of each claim apart.
    """
    return [judge_claim(claim, observations) for claim in read_claims()]


def judge_claim(claim: Claim, observations: Mapping[str, Any]) -> Verdict:
    """Hold one claim against `observations`, as `judge` does all of them."""
    if claim.id not in observations:
        return Verdict(claim, None, NOT_RUN, NOT_SEEN)
    then = of_its_time(claim, observations)
    conditions = {name.removeprefix(RUN): then[name] for name in CONDITIONS if name in then}
    return claims.judge(claim, observations[claim.id], conditions)


def of_its_time(claim: Claim, observations: Mapping[str, Any]) -> dict[str, Any]:
    """The observations, with the conditions under which this claim's was made."""
    return {**observations, **observations.get("conditions", {}).get(claim.id, {})}


def format_verdicts(verdicts: list[Verdict]) -> str:
    """Return a list for a terminal: step, verdict and claim, then both values; then the reasons."""
    lines = ["step  verdict        claim", "-" * WIDTH]
    for verdict in verdicts:
        claim = verdict.claim
        lines += _wrap(f"{claim.page:>4}  {verdict.status_in_words:<13}  ", claim.text)
        seen = f"tutorial: {show(claim.expected)}; here: {show(verdict.observed)}"
        lines += _wrap(" " * 21, seen)
    return "\n".join([*lines, "", *_reasons(verdicts)])


def _wrap(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def _reasons(verdicts: list[Verdict]) -> list[str]:
    """Return for each reason its lines, with the claims that it is given for."""
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.why:
            found.setdefault(f"{verdict.status_in_words}, {verdict.why}", []).append(
                verdict.claim.id
            )
    return [line for why, ids in found.items() for line in _wrap("", f"{why}: {', '.join(ids)}")]
