"""Is a point really feasible? Recomputed in float64 from the program's own arrays; a solver's word is not enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.solver.program import LINEAR_TOLERANCE, LOSS_THRESHOLD, ChanceProgram
from core.solver.sums import dot, products


@dataclass(frozen=True, slots=True)
class Tail:
    """The worst scenarios that make up a CVaR.

    scenarios: indices with a loss in the tail; weights: their shares, summing to at most 1; value: the CVaR.
    """

    scenarios: IntArray
    weights: FloatArray
    value: float


def multiples(program: ChanceProgram, x: FloatArray) -> FloatArray:
    """Portfolio multiple per scenario, shape (S,)."""
    return program.payoff_offset + products(program.payoffs, x)


def worst_scenarios(portfolio: FloatArray, count: int) -> BoolArray:
    """Which `count` scenarios have the smallest multiples, shape (S,); of equals the first."""
    worst = np.zeros(len(portfolio), dtype=bool)
    worst[np.argsort(portfolio, kind="stable")[:count]] = True
    return worst


def loss_tail(portfolio: FloatArray, confidence: float) -> Tail:
    """The worst (1 - confidence) S scenarios, the last one fractional; scenarios without a loss weigh nothing.

    `core.risk.measures.cvar` gives the same CVaR to results, by an exact sum. Here it is a plain sum of the weights
    that cuts are made of: another last bit would be another cut, and with it another course of the search. Source:
    Rockafellar & Uryasev (2000), discrete case.
    """
    losses = np.maximum(0.0, 1.0 - portfolio)
    size = (1.0 - confidence) * len(losses)
    order = np.argsort(-losses, kind="stable")
    shares = np.clip(size - np.arange(len(losses)), 0.0, 1.0) / size
    worst = order[shares > 0]
    weights = shares[shares > 0]
    real = losses[worst] > 0
    return Tail(worst[real], weights[real], dot(weights, losses[worst]))


def loss_count(portfolio: FloatArray, threshold: float = LOSS_THRESHOLD) -> int:
    """In how many scenarios money is lost: M_s < threshold, by definition 1 - 1e-9."""
    return int(np.count_nonzero(portfolio < threshold))


def cvar_room(program: ChanceProgram, x: FloatArray) -> float:
    """What CVaR may be at x: the limit plus the slack that x grants."""
    return program.cvar_limit + dot(program.cvar_slack, x)


def is_feasible(program: ChanceProgram, x: FloatArray, loss_threshold: float = LOSS_THRESHOLD) -> bool:
    """All of the program's constraints at x: counts exactly, linear rows and CVaR within 1e-7."""
    polytope = program.polytope
    activity = products(polytope.rows, x)
    linear = (
        np.all(x >= polytope.lower - LINEAR_TOLERANCE)
        and np.all(x <= polytope.upper + LINEAR_TOLERANCE)
        and np.all(activity >= polytope.row_lower - LINEAR_TOLERANCE)
        and np.all(activity <= polytope.row_upper + LINEAR_TOLERANCE)
    )
    if not linear:
        return False
    portfolio = multiples(program, x)
    if loss_count(portfolio, loss_threshold) > program.max_losses:
        return False
    return loss_tail(portfolio, program.cvar_confidence).value <= cvar_room(program, x) + LINEAR_TOLERANCE
