"""Limits that hold outside of the scenarios they were enforced on.

A portfolio that is chosen on scenarios is chosen for their luck, too, and breaks its limits a little everywhere else.
So its risk is estimated on a second set, and the limits on the first are tightened until the estimate lies MARGIN of
its standard errors inside the limits as asked. The second set is looked at a few times only; a third one, which nothing
was chosen on, judges once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.arrays import FloatArray
from core.portfolio.limits import Limits
from core.portfolio.passes import Chosen, Passes
from core.solver.effort import Effort
from core.solver.feasibility import loss_count, loss_tail, multiples

MARGIN = 4.3
"""Standard errors of the estimate between it and the limit."""

AIM = 0.25
"""Standard errors beyond the margin that a round aims at, so that it need not be followed by another for a hair."""

MOST_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class RiskEstimate:
    """Of a portfolio in so many scenarios that it was not chosen on: its two sampled figures and their errors."""

    scenarios: int
    loss_probability: float
    loss_error: float
    cvar: float
    cvar_error: float

    def loss_excess(self, limit: float) -> float:
        """How much the loss probability lacks to lie the margin inside its limit; a limit of 1 holds by itself."""
        return -1.0 if limit >= 1.0 else self.loss_probability + MARGIN * self.loss_error - limit

    def cvar_excess(self, limit: float) -> float:
        return -1.0 if limit >= 1.0 else self.cvar + MARGIN * self.cvar_error - limit

    def inside(self, max_loss_probability: float, cvar_limit: float) -> bool:
        return self.loss_excess(max_loss_probability) <= 0.0 and self.cvar_excess(cvar_limit) <= 0.0


EstimateRisk = Callable[[FloatArray], RiskEstimate]
"""Of weights (n_buckets,)."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: what was enforced on the first set, and what the second says of the portfolio it gave.

    expected_moic: of the portfolio; None, as is the estimate, where no portfolio keeps what was enforced.
    """

    max_losses: int
    cvar_limit: float
    expected_moic: float | None
    estimate: RiskEstimate | None


@dataclass(frozen=True, slots=True)
class Tightened:
    """chosen, limits: of the last round with a portfolio. inside: whether its estimate lies the margin inside."""

    chosen: Chosen
    limits: Limits
    rounds: tuple[Round, ...]
    inside: bool
    effort: Effort


def tighten(
    passes: Passes, asked: Limits, max_loss_probability: float, chosen: Chosen, estimate: EstimateRisk
) -> Tightened:
    """chosen: within the limits as asked. Raises NoAnswerWithinLimit, Cancelled."""
    rounds: list[Round] = []
    limits, effort = asked, Effort()
    found = _estimated(passes, chosen, limits, estimate, rounds)
    while not found.inside(max_loss_probability, asked.cvar_limit) and len(rounds) <= MOST_ROUNDS:
        enforced = _tighter(
            passes,
            limits,
            chosen,
            loss=found.loss_excess(max_loss_probability),
            cvar=found.cvar_excess(asked.cvar_limit),
            found=found,
        )
        first = passes.primary(enforced, None)
        effort += first.effort
        if first.status == "infeasible":
            rounds.append(Round(enforced.max_losses, enforced.cvar_limit, None, None))
            enforced = _halfway(limits, enforced)
            if len(rounds) > MOST_ROUNDS or enforced == limits:
                break
            first = passes.primary(enforced, None)
            effort += first.effort
            if first.status == "infeasible":
                rounds.append(Round(enforced.max_losses, enforced.cvar_limit, None, None))
                break
        limits, chosen = enforced, passes.choose(enforced, first)
        effort += chosen.second.effort
        found = _estimated(passes, chosen, limits, estimate, rounds)
    return Tightened(chosen, limits, tuple(rounds), found.inside(max_loss_probability, asked.cvar_limit), effort)


def _estimated(
    passes: Passes, chosen: Chosen, limits: Limits, estimate: EstimateRisk, rounds: list[Round]
) -> RiskEstimate:
    problem = passes.problem
    found = estimate(problem.bucket_weights(chosen.columns))
    expected = math.fsum(problem.mean_moic * chosen.columns)
    rounds.append(Round(limits.max_losses, limits.cvar_limit, expected, found))
    return found


def _tighter(
    passes: Passes, limits: Limits, chosen: Chosen, *, loss: float, cvar: float, found: RiskEstimate
) -> Limits:
    """Each limit that is not kept with the margin moves by what is missing, from where the portfolio is."""
    portfolio = multiples(passes.problem.program(limits), chosen.columns)
    if loss > 0.0:
        fewer = math.ceil((loss + AIM * found.loss_error) * portfolio.size)
        limits = replace(limits, max_losses=max(0, min(limits.max_losses, loss_count(portfolio)) - fewer))
    if cvar > 0.0:
        value = loss_tail(portfolio, limits.cvar_confidence).value
        lower = min(limits.cvar_limit, value) - cvar - AIM * found.cvar_error
        limits = replace(limits, cvar_limit=max(0.0, lower))
    return limits


def _halfway(limits: Limits, tighter: Limits) -> Limits:
    return replace(
        limits,
        max_losses=(limits.max_losses + tighter.max_losses) // 2,
        cvar_limit=(limits.cvar_limit + tighter.cvar_limit) / 2.0,
    )
