"""What the synthetic rows have to reach, and whether they do."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CLAIMS = Path(__file__).parents[2] / "claims.toml"
CURVE_TOLERANCE = 0.008


@dataclass(frozen=True)
class Goal:
    """One row of the report's table: a measured value and the bounds it has to lie within."""

    name: str
    value: float
    low: float
    high: float
    digits: int = 4

    @property
    def met(self) -> bool:
        """Whether the value, as printed, lies within the bounds."""
        return self.low <= round(self.value, self.digits) <= self.high

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        if self.low == float("-inf"):
            return f"at most {self.high:.{self.digits}f}"
        if self.high == float("inf"):
            return f"at least {self.low:.{self.digits}f}"
        return f"{self.low:.{self.digits}f} to {self.high:.{self.digits}f}"


def published(claim: str) -> list[float]:
    """What the tutorial printed for a claim of claims.toml that is a list of numbers."""
    claims = tomllib.loads(CLAIMS.read_text(encoding="utf-8"))["claim"]
    return next(entry["expected"] for entry in claims if entry["id"] == claim)


def goals(result: dict) -> list[Goal]:
    """The table for the measures that ``tools/fidelity.py`` collected."""
    lowest, highest = float("-inf"), float("inf")
    distances = list(result["kolmogorov_smirnov"].values())
    tests = result["trainings"]["synthetic"]["tests"]
    curve = result["trainings"]["synthetic"]["accuracy"]
    printed = published("train.accuracy")
    table = [
        Goal("Kolmogorov-Smirnov distance, mean", sum(distances) / len(distances), lowest, 0.02),
        Goal("Kolmogorov-Smirnov distance, worst feature", max(distances), lowest, 0.04),
        Goal(
            "largest difference of correlations (bound: 1.5 x two halves of the real rows)",
            result["correlation_gap"],
            lowest,
            round(1.5 * result["correlation_gap_of_halves"], 4),
        ),
        Goal("AUC of real against synthetic", result["discriminator_auc"], lowest, 0.60),
        Goal("trained on 60,000 synthetic rows, AUC on real", tests["real"]["auc"], 0.86, highest),
        Goal("the same, AUC on synthetic", tests["synthetic"]["auc"], 0.865, 0.885),
        Goal("the same, accuracy on synthetic", tests["synthetic"]["accuracy"], 0.785, 0.800),
        Goal("the same, loss on synthetic", tests["synthetic"]["loss"], 0.43, 0.46),
    ]
    for epoch in (1, 10):
        low, high = printed[epoch - 1] - CURVE_TOLERANCE, printed[epoch - 1] + CURVE_TOLERANCE
        table.append(Goal(f"training accuracy, epoch {epoch}", curve[epoch - 1], low, high))
    table.append(Goal("seconds for 100,000 rows", result["generate_seconds"], lowest, 2.0, 2))
    return table
