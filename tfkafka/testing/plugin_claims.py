"""The part of the pytest plugin that holds what tests observe against claims in a file.

It does nothing, and reads no file, where pytest's settings have no `kafka_claims`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest

from tfkafka.testing.claims import (
    FAILS,
    HOLDS,
    KNOWN_FALSE,
    NOT_RUN,
    SHOWN,
    Observation,
    Verdict,
    judge,
    read_claims,
    worst,
    write_observations,
)

PROPERTY = "kafka_claim"
"""Under which name a test's entry in JUnit XML has each of its observations, as JSON."""
UNSEEN = "no test observed it"
WORDS = {
    HOLDS: "met",
    FAILS: "missed",
    KNOWN_FALSE: "known to be false",
    SHOWN: "only shown",
    NOT_RUN: "not checked",
}
ALWAYS = ("met", "missed", "not checked")
RUN: pytest.StashKey[Run] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("kafka_claims", "file of the claims that kafka_observe knows")
    parser.getgroup("kafka").addoption(
        "--kafka-observations",
        metavar="FILE",
        help="write what kafka_observe recorded to this file, as JSON",
    )


def pytest_configure(config: pytest.Config) -> None:
    name, out = config.getini("kafka_claims"), config.getoption("--kafka-observations")
    if out and not name:
        raise pytest.UsageError("--kafka-observations: set kafka_claims in pytest's settings")
    if name and not config.getoption("collectonly"):
        try:
            config.stash[RUN] = Run(config, name)
        except ValueError as error:
            raise pytest.UsageError(f"kafka_claims: {error}") from None
        config.pluginmanager.register(config.stash[RUN])


@pytest.fixture
def kafka_observe(request: pytest.FixtureRequest) -> Callable[..., None]:
    """kafka_observe(claim, observed, **conditions): keep it; fail if the claim does not hold."""
    run = request.config.stash.get(RUN, None)
    if run is None:
        pytest.fail(
            'kafka_observe: there are no claims: set kafka_claims = "claims.toml" in pytest\'s '
            "settings",
            pytrace=False,
        )

    # A test that failed may run again, and then observes again.
    properties = request.node.user_properties
    properties[:] = [each for each in properties if each[0] != PROPERTY]

    def observe(claim: str, observed: Any, /, **conditions: Any) -> None:
        try:
            run.observe(request.node, claim, observed, conditions)
        except ValueError as error:
            raise pytest.fail.Exception(f"kafka_observe: {error}", pytrace=False) from None

    return observe


class Run:
    """The claims, and what the tests of this run observed of them.

    With pytest-xdist each worker judges its own; the controller has what all of them observed, by
    the reports of their tests, and sums up.
    """

    def __init__(self, config: pytest.Config, name: str):
        self._name = name
        self._claims = {each.id: each for each in read_claims(config.rootpath / name)}
        self._is_worker = hasattr(config, "workerinput")
        self._out = config.getoption("--kafka-observations")
        self._started = datetime.now().isoformat(" ", "seconds")
        self._observations: list[Observation] = []
        self._fault = ""

    def observe(
        self, test: pytest.Item, claim: str, observed: Any, conditions: dict[str, Any]
    ) -> None:
        """Keep an observation. Raises ValueError where the claim does not hold, and for misuse."""
        if claim not in self._claims:
            raise ValueError(f"{claim!r} is no claim of {self._name}")
        observed = _plain(claim, observed)
        seen = Observation(claim, observed, _plain(claim, conditions), test.nodeid)
        if wanted := self._claims[claim].mismatch(observed):
            raise ValueError(f"{claim}: observed {observed!r}: must be {wanted}")
        others = [each for each in self._observations if each.test != seen.test]
        for other in [*others, *_observed_by(test.user_properties)]:
            if _key(other) == _key(seen):
                raise ValueError(
                    f"{claim} was observed under the same conditions already, by {other.test}: "
                    f"{other.observed}, now {observed}; "
                    f"conditions keep them apart: kafka_observe(..., name=value)"
                )
        test.user_properties.append((PROPERTY, json.dumps(asdict(seen))))
        verdict = self._verdict(seen)
        if verdict.status == FAILS:
            raise ValueError(_told(verdict))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown":  # which has all that its test observed
            return
        if found := _observed_by(report.user_properties):
            others = [each for each in self._observations if each.test != report.nodeid]
            self._observations = others + found

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._is_worker:
            return
        if self._out:
            try:
                path = session.config.invocation_params.dir / self._out
                seen = [(each, self._verdict(each)) for each in self._observations]
                ids = [claim for claim, of in self._verdicts().items() if _is_unchecked(of)]
                write_observations(path, self._started, seen, ids)
            except OSError as error:
                self._fault = f"--kafka-observations: {self._out}: {error.strerror}"
        if session.exitstatus == pytest.ExitCode.OK and (self._fault or self._twice()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section(f"claims of {self._name}")
        for line in self._summary():
            terminalreporter.write_line(line)

    def _summary(self) -> list[str]:
        """Return what came out: each claim is counted, whoever observed it or did not."""
        verdicts = self._verdicts()
        statuses = [worst(each.status for each in seen) for seen in verdicts.values()]
        counts = {words: statuses.count(status) for status, words in WORDS.items()}
        told = [f"{count} {words}" for words, count in counts.items() if count or words in ALWAYS]
        lines = [f"{len(verdicts)} claims: {', '.join(told)}"]
        every = [each for seen in verdicts.values() for each in seen]
        lines += [f"missed: {_told(each)}" for each in every if each.status == FAILS]
        if self._observations:
            lines += self._unchecked(verdicts)
        return [*lines, *self._twice(), *filter(None, [self._fault])]

    def _unchecked(self, verdicts: dict[str, list[Verdict]]) -> list[str]:
        """Return a line for each reason, with the claims of which nothing could be judged."""
        reasons: dict[str, list[str]] = {}
        for claim, seen in verdicts.items():
            if _is_unchecked(seen):
                reasons.setdefault(seen[0].why, []).append(claim)
        return [f"not checked, {why}: {', '.join(ids)}" for why, ids in reasons.items()]

    def _verdicts(self) -> dict[str, list[Verdict]]:
        """Return for each claim at least one verdict."""
        found: dict[str, list[Verdict]] = {claim: [] for claim in self._claims}
        for seen in self._observations:
            found[seen.claim].append(self._verdict(seen))
        for name, claim in self._claims.items():
            found[name] = found[name] or [Verdict(claim, None, NOT_RUN, UNSEEN)]
        return found

    def _verdict(self, seen: Observation) -> Verdict:
        return judge(self._claims[seen.claim], seen.observed, seen.conditions)

    def _twice(self) -> list[str]:
        """Return a line for each claim that tests of two workers observed: one cannot see that."""
        by_key: dict[str, list[Observation]] = {}
        for seen in self._observations:
            by_key.setdefault(_key(seen), []).append(seen)
        return [
            f"observed twice under the same conditions: {seen[0].claim}, by "
            f"{' and '.join(each.test for each in seen)}"
            for seen in by_key.values()
            if len(seen) > 1
        ]


def _is_unchecked(verdicts: list[Verdict]) -> bool:
    return all(each.status == NOT_RUN for each in verdicts)


def _told(verdict: Verdict) -> str:
    claim = verdict.claim
    return f"{claim.id}: observed {verdict.observed}, claimed {claim.wanted}: {claim.text}"


def _observed_by(properties: list[tuple[str, object]]) -> list[Observation]:
    """Return what a test observed, by its properties."""
    return [Observation(**json.loads(str(text))) for name, text in properties if name == PROPERTY]


def _key(seen: Observation) -> str:
    return json.dumps([seen.claim, seen.conditions], sort_keys=True)


def _plain(claim: str, value: Any) -> Any:
    """Return a value as JSON has it, with lists for tuples and for arrays of NumPy."""
    try:
        return json.loads(json.dumps(value, default=lambda array: array.tolist()))
    except (TypeError, ValueError, AttributeError):
        wanted = "must be a number, a text, a boolean or a list of these"
        raise ValueError(f"{claim}: observed {value!r}: {wanted}") from None
