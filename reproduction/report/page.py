"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from reproduction import pages
from reproduction.claims import (
    FAILS,
    HOLDS,
    KNOWN_FALSE,
    NOT_COMPARED,
    NOT_RUN,
    SHOWN,
    show,
    show_tolerance,
)
from reproduction.pages import marked, number, table, text
from reproduction.report import benchmarks as bench
from reproduction.report import evidence, facts, figures
from reproduction.report.evidence import Evidence, Sighting
from reproduction.report.sources import Sources

TITLE = "Kafka and TensorFlow: the tutorial, checked"
MARKS = {
    HOLDS: ("\u2713 holds", "good"),
    FAILS: ("\u2717 does not hold", "bad"),
    KNOWN_FALSE: ("\u2717 is false", "bad"),
    SHOWN: ("\u25cb shown, not judged", "quiet"),
    NOT_RUN: ("\u2013 not run", "quiet"),
    NOT_COMPARED: ("\u2013 not compared", "quiet"),
}
FLOOR_MARKS = {
    bench.HOLDS: ("\u2713 holds", "good"),
    bench.BELOW: ("\u2717 broken", "bad"),
    bench.UNKNOWN: ("? unknown", "quiet"),
}
SIDE_HEADS = (
    "way",
    "kind",
    "records/s",
    "of the ceiling",
    "MB/s",
    "ms a step",
    "wall s",
    "CPU s",
    "stolen s",
    "peak MiB",
)


def page(claims: list[Evidence], sources: Sources, written: str) -> str:
    """HTML text; `written` says when."""
    sections = (
        ("claims", "What the tutorial claims", _claims(claims)),
        ("learning", "Learning", _learning(sources)),
        ("records", "Which records made the models", _records(sources)),
        ("throughput", "Throughput of each step", _throughput(sources.benchmarks)),
        ("scaling", "Time and memory", _scaling(sources.benchmarks)),
        ("delivery", "Delivery under faults", _delivery(sources)),
        ("machine", "The machine, and how to run it again", _machine(sources)),
    )
    links = "\n".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in sections)
    body = "\n".join(
        f'<section id="{name}">\n<h2>{escape(title)}</h2>\n{content}\n</section>'
        for name, title, content in sections
    )
    return pages.document(
        TITLE,
        f"<h1>{escape(TITLE)}</h1>\n<p>{escape(_lead(sources))} Written {escape(written)}.</p>\n"
        f"{_glance(claims, sources)}\n<nav>\n{links}\n</nav>\n{body}",
    )


def _lead(sources: Sources) -> str:
    run = dict(facts.run_facts(sources.observations))
    if not run:
        return "The tutorial has not been run here yet."
    parts = [f"Kafka {run['Kafka']}" if "Kafka" in run else "", run.get("reader", "")]
    parts += [f"{run[name]} {name}" for name in ("rows", "epochs") if name in run]
    parts += [f"data: {run['data']}"] if "data" in run else []
    failed = run.get("ended at an error of")
    ended = f" {failed} failed, and what comes after it was not run." if failed else ""
    return f"The tutorial was run here with {', '.join(filter(None, parts))}.{ended}"


def _glance(claims: list[Evidence], sources: Sources) -> str:
    counts = evidence.count(claims)
    judged = counts[HOLDS] + counts[KNOWN_FALSE] + counts[FAILS]
    items = [
        (f"{counts[HOLDS]} of {judged} claims hold", "of those that were checked"),
        (f"{counts[KNOWN_FALSE]} are false", "and known to be; the evidence is below"),
        (f"{counts[FAILS]} do not hold", "and were expected to"),
        (f"{counts[NOT_RUN]} not checked", f"{counts[SHOWN]} more only shown, not judged"),
    ]
    if sources.benchmarks and facts.bounds(sources.benchmarks):
        bounds = facts.count_bounds(sources.benchmarks)
        held, all_of_them = bounds[bench.HOLDS], sum(bounds.values())
        items.append((f"{held} of {all_of_them} floors held", "of throughput, time and memory"))
    if sources.faults:
        ours = [f for f in sources.faults if "tensorflow-io" not in f.what]
        lost, twice = (sum(getattr(f, n) or 0 for f in ours) for n in ("lost", "duplicated"))
        count = sum(fault.faults for fault in ours)
        items.append((f"{lost} lost, {twice} twice", f"with tfkafka, in {count:,} faults"))
    listed = "\n".join(
        f"<li><strong>{escape(head)}</strong>{escape(rest)}</li>" for head, rest in items
    )
    return f'<ul class="facts">\n{listed}\n</ul>'


def _claims(claims: list[Evidence]) -> str:
    false = [e for e in claims if e.status in (KNOWN_FALSE, FAILS)]
    boxes = "\n".join(_box(e) for e in false)
    heading = "<h3>Not so</h3>\n" if boxes else ""
    rows = [
        (
            number(e.claim.step),
            text(e.claim.text),
            text(show(e.claim.tutorial)),
            _seen(e),
            text(show_tolerance(e.claim)),
        )
        for e in claims
    ]
    heads = ("step", "claim", "the tutorial", "seen here", "tolerance")
    return f"{heading}{boxes}\n<h3>All claims</h3>\n{table(heads, rows, 'cards')}"


def _box(found: Evidence) -> str:
    """A claim that is false, with what shows it."""
    claim = found.claim
    seen = "\n".join(f"<p>{_sighting(sighting)}</p>" for sighting in found.sightings)
    reasons = dict.fromkeys(s.verdict.why for s in found.sightings if s.verdict.why)
    why = "".join(f"<p>{escape(reason)}</p>" for reason in reasons)
    test = f"<p class=quiet>Shown by <code>{escape(claim.test)}</code></p>" if claim.test else ""
    return (
        f'<div class="box"><p><b>Step {claim.step}: {escape(claim.text)}</b>; '
        f"the tutorial: {escape(show(claim.tutorial))}</p>\n{seen}\n{why}\n{test}</div>"
    )


def _seen(found: Evidence) -> str:
    lines = "<br>".join(_sighting(sighting) for sighting in found.sightings)
    return f"<td>{lines}</td>"


def _sighting(sighting: Sighting) -> str:
    verdict = sighting.verdict
    mark, kind = MARKS[verdict.status_in_words]
    seen = "" if verdict.observed is None else f" {escape(show(verdict.observed))}"
    return (
        f'<span class="verdict {kind}">{mark}</span>{seen} '
        f'<span class="quiet">({escape(sighting.remark)})</span>'
    )


def _learning(sources: Sources) -> str:
    seen = sources.observations
    parts = [
        ("Accuracy and loss", figures.training(seen), "tutorial"),
        ("ROC curve", figures.roc(seen), "roc"),
        ("Lag while evaluating", figures.lag(seen), "lag"),
    ]
    return "\n".join(
        f"<h3>{escape(title)}</h3>\n{drawn or _not_run(reason)}" for title, drawn, reason in parts
    )


def _records(sources: Sources) -> str:
    rows = [tuple(map(text, row)) for row in facts.records_rows(sources.manifests)]
    if not rows:
        return _not_run("records")
    return f"<p>{escape(facts.RECORDS_AGAIN)}</p>\n{table(facts.RECORDS_HEADS, rows, 'cards')}"


def _throughput(found: bench.Benchmarks | None) -> str:
    if found is None or not facts.is_measured(found):
        return _not_run("benchmarks")
    others = (
        f"<p class=quiet>Measured, but not shown here: {escape(', '.join(found.others))}.</p>"
        if found.others
        else ""
    )
    return "\n".join(
        (
            figures.throughput(found.comparisons),
            "<h3>Floors and limits</h3>",
            f"<p>{escape(facts.bounds_summary(found))}. A ratio is of throughputs, in turns.</p>",
            _bounds(found),
            "<h3>All figures</h3>",
            "<p>Medians of rounds that took turns; memory is the largest.</p>",
            *(_sides(comparison) for comparison in found.comparisons if comparison.sides),
            _apart(found.comparisons),
            others,
        )
    )


def _bounds(found: bench.Benchmarks) -> str:
    rows = [
        (
            text(bound.title),
            text(bound.what),
            number(bound.median),
            number(bound.rounds),
            number(bound.bound),
            number(bound.goal),
            marked(*FLOOR_MARKS[bound.verdict]),
        )
        for bound in facts.bounds(found)
    ]
    heads = ("step", "what", "median", "lowest to highest round", "must be", "goal", "verdict")
    return table(heads, rows, "cards")


def _sides(comparison: bench.Comparison) -> str:
    remarks = [comparison.title]
    remarks += [f"the ceiling is {comparison.ceiling}"] if comparison.ceiling else []
    remarks += [str(comparison.host)] if comparison.host.disturbed_rounds else []
    if comparison.load is not None:
        remarks.append(f"load {comparison.load:.1f}")
    rows = [_side(side) for side in comparison.sides]
    return f"<h4>{escape('; '.join(remarks))}</h4>\n{table(SIDE_HEADS, rows)}"


def _side(side: bench.Side) -> Sequence[str]:
    figures_of_side = (
        _show(side.records_per_s, ",.0f"),
        _show(side.share_of_ceiling, ".1%"),
        _show(side.mb_per_s, ",.1f"),
        _show(side.ms_per_step, ".3g"),
        _show(side.wall_s, ".3g"),
        _show(side.cpu_s, ".3g"),
        _show(side.stolen_s, ".2f"),
        _show(side.peak_mib, ",.0f"),
    )
    return (text(side.label), text(side.kind), *map(number, figures_of_side))


def _apart(comparisons: Sequence[bench.Comparison]) -> str:
    rows = [
        (text(f"{comparison.title} {comparison.host}"), text(name), number(_show(seconds, ".3g")))
        for comparison in comparisons
        for name, seconds in comparison.apart.items()
    ]
    if not rows:
        return ""
    heading = "<h3>Measured apart, and in none of the figures above</h3>\n"
    return heading + table(("step", "what", "seconds"), rows)


def _scaling(found: bench.Benchmarks | None) -> str:
    drawn = figures.scaling(found.scalings) if found else ""
    return drawn or _not_run("scaling")


def _delivery(sources: Sources) -> str:
    if not sources.faults:
        return _not_run("faults")
    rows = [
        (
            text(f.what),
            number(f"{f.faults:,}"),
            text(f.proof),
            number(show(f.lost)),
            number(show(f.duplicated)),
            text(f.verdict),
        )
        for f in sources.faults
    ]
    heads = ("what", "faults", "how it is known", "lost", "twice", "verdict")
    when = ", ".join(run.started for run in sources.tests if run.faults)
    return f"<p class=quiet>Seen {escape(when)}.</p>\n{table(heads, rows, 'cards')}"


def _machine(sources: Sources) -> str:
    rows = [
        *facts.run_facts(sources.observations),
        *facts.machine_facts(sources.observations),
        *facts.test_facts(sources.tests),
        *facts.benchmark_facts(sources.benchmarks),
    ]
    again = f"<p>Again, as it was run: <code>{escape(facts.command(sources))}</code></p>"
    if not rows:
        return f"{_not_run('tutorial')}\n{again}"
    return f"{again}\n{table(('fact', 'value'), [(text(n), text(v)) for n, v in rows], 'cards')}"


def _not_run(what: str) -> str:
    return f'<p class="quiet">{escape(facts.NOT_RUN[what])}</p>'


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
