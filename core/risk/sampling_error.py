"""How far a figure may be off because it comes from a finite number of scenarios."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.portfolio.strict import shortfalls
from core.risk.intervals import NORMAL_QUANTILE
from core.solver.feasibility import loss_count


@dataclass(frozen=True, slots=True)
class StandardErrors:
    """Of a portfolio's figures: expected_moic in multiples, loss_probability as a share, cvar as a fraction of capital,
    expected_winners in companies. None with a single scenario, which tells nothing of its own error."""

    expected_moic: float | None
    loss_probability: float | None
    cvar: float | None
    expected_winners: float | None


def standard_errors(multiples: FloatArray, winners: FloatArray, cvar_confidence: float) -> StandardErrors:
    """multiples, winners: a portfolio's, by scenario; as many scenarios of each as the figure rests on."""
    n, lost = multiples.size, loss_count(multiples)
    return StandardErrors(
        expected_moic=mean_error(multiples),
        loss_probability=math.sqrt(lost / n * (1 - lost / n) / n) if n > 1 else None,
        cvar=mean_error(tail_contributions(shortfalls(multiples), cvar_confidence)),
        expected_winners=mean_error(winners),
    )


def mean_error(values: FloatArray) -> float | None:
    """Of a mean of independent values, (n,)."""
    return float(np.std(values, ddof=1)) / math.sqrt(values.size) if values.size > 1 else None


def tail_contributions(losses: FloatArray, confidence: float, weights: FloatArray | None = None) -> FloatArray:
    """What each scenario adds to the CVaR: max(0, loss - VaR) / (1 - confidence). Shape (n,).

    CVaR is VaR plus the mean of these, and to first order the error of VaR does not enter: so that their standard error
    is CVaR's. losses: (n,); weights: (n,), summing to 1; None: all alike.
    Source: Trindade, Uryasev, Shapiro & Zrazhevsky (2007), "Financial prediction with constrained tail risk", sec. 3.
    """
    order = np.argsort(-losses, kind="stable")
    share = np.full(losses.size, 1.0 / losses.size) if weights is None else weights
    reached = np.searchsorted(np.cumsum(share[order]), 1.0 - confidence, side="left")
    value_at_risk = losses[order[min(int(reached), losses.size - 1)]]
    contributions: FloatArray = np.maximum(0.0, losses - value_at_risk) / (1.0 - confidence)
    return contributions


def required_sample_size(distance: float, error: float, scenarios: int) -> int | None:
    """How many scenarios would make a 95% interval of a figure exclude what it is `distance` from, if it stays there.

    error: the figure's standard error from `scenarios` scenarios; it shrinks with the root of their number. None where
    no number would: at no distance at all.
    """
    if distance == 0.0:
        return None
    return max(2, math.ceil(scenarios * (NORMAL_QUANTILE * error / distance) ** 2))
