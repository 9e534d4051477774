"""How far the answer can be from the best portfolio of the distribution, not of the sample.

Let w be the best portfolio in truth: it keeps P(M < 1) <= p, CVaR <= q and every limit of weights and winners. Its
expectation mu @ w is at most

  1. the optimum without the two sampled limits, which is a linear program; and, with probability 1 - delta,
  2. the solver's bound on n scenarios with both limits loosened so far that w keeps them there. w does not depend on
     the sample, so in it the number of losses is binomial, at most its 1 - delta/2 quantile; and

         CVaR_n(w) <= eta + mean of Y / (1 - c),    Y = max(0, 1 - M - eta),  eta the true value at risk,

     whose mean m is at most (1 - c)(q - eta) and whose variance is at most m (1 - eta), since 0 <= Y <= 1 - eta. By
     Bernstein's inequality the sample's mean exceeds m by more than sqrt(2 v l / n) + (1 - eta) l / (3 n),
     l = log(2 / delta), with probability delta/2 at most; both terms are largest at eta = 0.

The smaller of the two is the upper end. Solving samples again and again without loosening gives no bound here, since
it is rows that are sampled and not the objective.
Sources: Luedtke & Ahmed (2008), "A sample approximation approach for optimization with probabilistic constraints";
Boucheron, Lugosi & Massart (2013), "Concentration inequalities", corollary 2.11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.solver.cut_lp import CutLp
from core.solver.effort import Effort
from core.solver.program import SolveControl, SolverBackend
from core.solver.work import LimitReached, WorkMeter

CONFIDENCE = 0.95
WORTH_A_SOLVE = 0.002
"""Relative distance of the answer from the first bound below which the second is not asked for."""

BOUND_SHARE = 0.25
"""Of the work limit, for the second bound."""


@dataclass(frozen=True, slots=True)
class TrueGap:
    """lower: expected MOIC of the answer by the distribution. upper: no portfolio that keeps the limits has more, with
    `confidence` (1 where no sampled limit had to be loosened)."""

    lower: float
    upper: float
    confidence: float
    effort: Effort


def best_without_risk_limits(problem: PortfolioProblem, limits: Limits, control: SolveControl) -> float | None:
    """The most that limits of weights and winners leave of the expected MOIC; None where they admit no portfolio."""
    free = replace(limits, max_losses=problem.n_scenarios, cvar_limit=math.inf)
    program = problem.program(free)
    lp = CutLp(
        replace(program, payoffs=program.payoffs[:1], payoff_offset=program.payoff_offset[:1]), WorkMeter(control)
    )
    try:
        x = lp.maximize(np.zeros(1, dtype=bool))
    except LimitReached:
        return None
    return None if x is None else math.fsum(problem.mean_moic * x)


def true_gap(
    problem: PortfolioProblem,
    asked: Limits,
    *,
    max_loss_probability: float,
    weights: FloatArray,
    backend: SolverBackend,
    control: SolveControl,
    independent: bool = True,
) -> TrueGap:
    """problem: a column for each bucket, so that the bound is one of all portfolios. weights: (n_buckets,).

    independent: whether the scenarios are independent draws, as the second bound wants them, and not chosen from more.
    """
    lower = math.fsum(problem.mean_moic * weights)
    best = best_without_risk_limits(problem, asked, control)
    upper = math.inf if best is None else max(best, lower)
    if not independent or upper - lower <= WORTH_A_SOLVE * lower:
        return TrueGap(lower, upper, 1.0, Effort())
    loosened = loosened_limits(asked, max_loss_probability, problem.n_scenarios)
    work = max(1, int(BOUND_SHARE * control.work_limit))
    outcome = backend.maximize(problem.program(loosened), replace(control, work_limit=work), weights)
    if outcome.bound < upper:
        return TrueGap(lower, max(outcome.bound, lower), CONFIDENCE, outcome.effort)
    return TrueGap(lower, upper, 1.0, outcome.effort)


def loosened_limits(asked: Limits, max_loss_probability: float, scenarios: int) -> Limits:
    """So far that a given portfolio that keeps the limits in truth keeps these in the sample, with CONFIDENCE."""
    tail = (1.0 - CONFIDENCE) / 2.0
    return replace(
        asked,
        max_losses=binomial_quantile(scenarios, max_loss_probability, 1.0 - tail),
        cvar_limit=asked.cvar_limit + bernstein_room(asked.cvar_limit, asked.cvar_confidence, scenarios, tail),
    )


def bernstein_room(cvar_limit: float, confidence: float, scenarios: int, tail: float) -> float:
    """By how much the CVaR of a fixed portfolio may exceed its true value in a sample, but with probability `tail`."""
    mean, log = (1.0 - confidence) * cvar_limit, math.log(1.0 / tail)
    return (math.sqrt(2.0 * mean * log / scenarios) + log / (3.0 * scenarios)) / (1.0 - confidence)


def binomial_quantile(n: int, p: float, level: float) -> int:
    """The least k with P(X <= k) >= level, X binomial. 0 <= p; level in (0, 1)."""
    if p >= 1.0:
        return n
    if p <= 0.0:
        return 0
    log_term, total = n * math.log1p(-p), 0.0
    for k in range(n):
        total += math.exp(log_term)
        if total >= level:
            return k
        log_term += math.log((n - k) / (k + 1)) + math.log(p) - math.log1p(-p)
    return n
