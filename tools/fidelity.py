"""How near the synthetic SUSY rows come to real ones: a table, fidelity.json and a page of plots.

    python tools/fidelity.py --real SUSY.csv.gz --out reports/fidelity

Measured on those of the real rows that were not used in fitting (the parameters carry the rule
that tells them). Exit status 1 if a goal is missed. Takes about two minutes.
"""

import argparse
import json
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from reproduction.drawing import svg
from reproduction.files import write_whole
from reproduction.susy.errors import SusyDataError
from reproduction.susy.fidelity import measures, plots
from reproduction.susy.fidelity.goals import goals, published
from reproduction.susy.fidelity.page import page
from reproduction.susy.fidelity.samples import TRAIN_ROWS, Samples, load_samples
from reproduction.susy.fidelity.training import train_and_test


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", nargs="+", type=Path, required=True, help="CSV or CSV.gz")
    parser.add_argument("--out", type=Path, default=Path("reports/fidelity"))
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic rows and weights")
    arguments = parser.parse_args()
    # The tutorial's loss and its shuffled dataset: Keras has something to say about both.
    warnings.filterwarnings("ignore", category=UserWarning, module="keras")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        samples = load_samples(arguments.real, arguments.seed)
    except (SusyDataError, OSError) as error:
        print(f"fidelity: {error}", file=sys.stderr)
        return 2
    result = measure(samples, arguments.seed)
    table = goals(result)
    result["goals"] = [asdict(goal) | {"met": goal.met, "goal": goal.bounds} for goal in table]
    facts = (
        f"{result['held_out_rows']:,} real rows that were not used in fitting, weighted to the "
        f"file's class shares, against {result['synthetic_rows']:,} synthetic ones."
    )
    write_whole(arguments.out / "index.html", page(table, facts, figures(samples, result)))
    write_whole(arguments.out / "fidelity.json", as_json(result))
    for goal in table:
        verdict = "met" if goal.met else "MISSED"
        print(f"{goal.value:9.{goal.digits}f}  {verdict:6}  {goal.name}: {goal.bounds}")
    print(f"wrote {arguments.out / 'index.html'} and fidelity.json")
    return 0 if all(goal.met for goal in table) else 1


def measure(samples: Samples, seed: int) -> dict:
    """All figures of the report, ready for JSON."""
    real, synthetic = samples.held_out, samples.synthetic
    progress("distances and correlations")
    gap = np.abs(measures.correlations(real) - measures.correlations(synthetic))
    result = {
        "held_out_rows": len(real),
        "fitted_rows": len(samples.fitted),
        "synthetic_rows": len(synthetic),
        "seed": seed,
        "generate_seconds": samples.seconds,
        "kolmogorov_smirnov": measures.kolmogorov_smirnov(real, synthetic),
        "kolmogorov_smirnov_of_real_rows": measures.kolmogorov_smirnov(real, samples.fitted),
        "correlation_gap": float(gap.max()),
        "correlation_gap_of_halves": measures.correlation_gap_of_halves(real),
    }
    progress("a classifier that tells real from synthetic")
    result["discriminator_auc"] = measures.discriminator_auc(real, synthetic)
    train, test = synthetic.head(TRAIN_ROWS), synthetic.iloc[TRAIN_ROWS:]
    fitted = samples.fitted.head(TRAIN_ROWS).sample(frac=1, random_state=seed)
    sources = {
        "synthetic": train,
        "real": fitted,
        "synthetic, as few": train.head(len(fitted)),
    }
    result["trainings"] = {}
    for name, rows in sources.items():
        progress(f"the tutorial's model on {len(rows):,} rows: {name}")
        tests = {"real": real, "synthetic": test}
        result["trainings"][name] = asdict(train_and_test(rows, tests, seed))
    return result


def figures(samples: Samples, result: dict) -> list[tuple[str, str]]:
    """The page's figures: (caption, SVG)."""
    real, synthetic, trainings = samples.held_out, samples.synthetic, result["trainings"]
    matrices = measures.correlations(real), measures.correlations(synthetic)
    accuracy, loss = published("train.accuracy"), published("train.loss")
    found = result["kolmogorov_smirnov"], result["kolmogorov_smirnov_of_real_rows"]
    drawings = (
        (
            "Features by class. Lines: synthetic; points: held-out real rows.",
            lambda figure: plots.marginals(figure, real, synthetic),
            (10, 14),
        ),
        (
            "Distance of each feature's distribution, and what chance alone makes of it.",
            lambda figure: plots.distances(figure, *found),
            (9, 5),
        ),
        (
            "Correlations of the 19 columns.",
            lambda figure: plots.correlation_matrices(figure, *matrices),
            (12, 4.5),
        ),
        (
            "The tutorial's model: the four train/test pairs at the same number of rows, and "
            "trained on 60,000 synthetic rows.",
            lambda figure: plots.roc_curves(figure, trainings),
            (11, 5),
        ),
        (
            "The tutorial's training curve.",
            lambda figure: plots.training_curves(figure, trainings["synthetic"], accuracy, loss),
            (10, 3.5),
        ),
    )
    return [
        (caption, svg(draw, size, f"figure{number}"))
        for number, (caption, draw, size) in enumerate(drawings)
    ]


def as_json(result: dict) -> str:
    """JSON text; an infinite bound, which JSON can't say, is null."""
    text = json.dumps(result, indent=1, default=float)
    return text.replace("-Infinity", "null").replace("Infinity", "null")


def progress(what: str) -> None:
    print(f"fidelity: {what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
