"""Names of figures and limits, and how their values are written: the same on every surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.formatting import count, limit_percent, percent
from core.portfolio.problem import ConstraintType
from core.result.model import Estimate, FigureName, LimitedEstimate, LimitStatus, Verdict
from core.solver.program import LINEAR_TOLERANCE

CONSTRAINT_NAMES = {
    "p_loss_max": "Loss probability",
    "cvar_max": "CVaR",
    "expected_winners_min": "Expected winners",
    "bucket_max_weight": "Largest bucket",
}
BOUND_NAMES = {
    "sector_min_weight": "Minimum in {}",
    "sector_max_weight": "Maximum in {}",
    "stage_min_weight": "Minimum in stage {}",
    "stage_max_weight": "Maximum in stage {}",
}
STATUS_WORDS: dict[LimitStatus, str] = {
    "holds": "Holds",
    "within_error": "Too close to call",
    "broken": "Does not hold",
}
STATUS_MARKS: dict[LimitStatus, str] = {"holds": "✓", "within_error": "?", "broken": "✕"}
COMPARISON_NAMES = {
    "equal_weights": "equal weights",
    "greedy": "the greedy portfolio",
    "same_stages_even_sectors": "the same stages, even over sectors",
    "other_seed_1": "this request under another seed",
    "other_seed_2": "this request under a third seed",
}
OTHER_SEEDS = ("other_seed_1", "other_seed_2")
MOST_DECIMALS = 8
"""Of percent: more than the tolerance of limits, so that a figure that breaks its limit is told from it."""


def worst_share(confidence: float) -> str:
    """The tail that CVaR is the mean of: 0.95 as "worst 5%"."""
    return f"worst {limit_percent(1.0 - confidence)}"


def constraint_name(constraint_id: str, confidence: float | None = None) -> str:
    """`sector_max_weight:Biotech` as "Maximum in Biotech". confidence: of CVaR, to say which tail it is."""
    kind, _, name = constraint_id.partition(":")
    if kind in BOUND_NAMES:
        return BOUND_NAMES[kind].format(name)
    if kind == "cvar_max" and confidence is not None:
        return f"CVaR, the average loss in the {worst_share(confidence)}"
    return CONSTRAINT_NAMES.get(kind, constraint_id)


def constraint_value(kind: str, value: float, decimals: int = 2) -> str:
    """In the limit's own unit: companies for winners, percent for everything else."""
    return count(value) if kind == "expected_winners_min" else percent(value, decimals)


def constraint_limit(kind: str, limit: float) -> str:
    """A limit as it was given: 35%, 1.4."""
    return _plain(limit, 4) if kind == "expected_winners_min" else limit_percent(limit)


def beside_limit(kind: ConstraintType, value: float, limit: float) -> tuple[str, str]:
    """A figure and its limit, with as many decimals as it takes to see on which side of the limit it lies.

    Within the tolerance of limits they count as equal and may be written alike.
    """
    winners = kind == "expected_winners_min"
    write, scale, fewest, of_limit = (count, 1.0, 2, 4) if winners else (percent, 100.0, 1, 2)
    side = _side(value - limit)
    decimals = fewest
    if abs(value - limit) > LINEAR_TOLERANCE * max(1.0, abs(limit)):
        while decimals < MOST_DECIMALS and side != _side(
            round(scale * value, decimals) - round(scale * limit, max(of_limit, decimals))
        ):
            decimals += 1
    shown = _plain(scale * limit, max(of_limit, decimals))
    return write(value, decimals), shown if winners else f"{shown}%"


def _plain(value: float, decimals: int) -> str:
    """At most so many decimals, without closing zeros and never with an exponent."""
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"
    return text.rstrip("0").rstrip(".")


def _side(difference: float) -> int:
    return (difference > 0.0) - (difference < 0.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the four figures that a portfolio is judged by.

    name: the JSON key. attribute: of the models. label, meaning: for people. constraint: that limits it, if any.
    shown: a value, or its error, as text.
    """

    name: FigureName
    attribute: str
    label: str
    meaning: str
    constraint: ConstraintType | None
    shown: Callable[[float], str]

    def of(self, document: object) -> float:
        """Of anything that has the four figures as numbers."""
        value: float = getattr(document, self.attribute)
        return value

    def estimate(self, document: object) -> Estimate:
        """Of anything that has the four figures as estimates."""
        found: Estimate = getattr(document, self.attribute)
        return found

    def error(self, document: object) -> float | None:
        found: float | None = getattr(document, self.attribute)
        return found

    def enforced(self, estimate: Estimate) -> str:
        """The limit of a figure out of sample as enforced, with the side on which it lies; empty where it has none."""
        limit = estimate.limit if isinstance(estimate, LimitedEstimate) else None
        return "" if limit is None else self._sided(limit)

    def asked(self, verdict: Verdict) -> str:
        """The limit as asked, with the side on which it lies; empty where it has none."""
        found = [limit.asked for limit in verdict.limits if limit.constraint_id == self.constraint]
        return self._sided(found[0]) if found else ""

    def _sided(self, limit: float) -> str:
        sign = "≥ " if self.constraint == "expected_winners_min" else "≤ "
        return sign + constraint_limit(self.constraint or "", limit)

    def with_interval(self, estimate: Estimate) -> str:
        return f"{self.shown(estimate.value)} ({self.shown(estimate.low)} to {self.shown(estimate.high)})"

    def with_error(self, value: float, error: float | None) -> str:
        """error: its standard error, None where there is none to tell."""
        return self.shown(value) if error is None else f"{self.shown(value)} ± {self.shown(error).rstrip('x')}"


FIGURES = (
    Figure(
        "expectedMoic",
        "expected_moic",
        "expected MOIC",
        "what the fund returns on average, as a multiple of the capital",
        None,
        "{:.3f}x".format,
    ),
    Figure(
        "lossProbability",
        "loss_probability",
        "loss probability",
        "how often the fund returns less than was put in",
        "p_loss_max",
        "{:.1%}".format,
    ),
    Figure(
        "cvar",
        "cvar",
        "CVaR",
        "the average loss in the worst scenarios, as a share of the capital",
        "cvar_max",
        "{:.1%}".format,
    ),
    Figure(
        "expectedWinners",
        "expected_winners",
        "expected winners",
        "companies that return the winner multiple or more, on average",
        "expected_winners_min",
        "{:.2f}".format,
    ),
)
