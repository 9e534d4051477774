"""A portfolio in other economies: the same scenarios, weighted anew by their macro regime. Nothing is solved again.

Within a regime all scenarios weigh the same, so that a figure under shares q is sum_r q_r (its mean in regime r): the
estimator of a stratified sample, and with its error.
Source: Owen (2013), "Monte Carlo theory, methods and examples", sections 8.4 and 9.3 (effective sample size).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.errors import BadInput, FieldProblem
from core.portfolio.strict import shortfalls
from core.risk.measures import cvar
from core.risk.out_of_sample_trial import PortfolioDraws
from core.risk.sampling_error import StandardErrors, tail_contributions
from core.simulation.inputs import Regime
from core.solver.program import LOSS_THRESHOLD

SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class StressFigures:
    """shares: of each regime, in the inputs' order. scenarios: how many carry any weight; effective_scenarios: as many
    equally weighted ones would know the mean as well (Kish)."""

    shares: FloatArray
    scenarios: int
    effective_scenarios: float
    expected_moic: float
    loss_probability: float
    cvar: float
    expected_winners: float
    errors: StandardErrors


@dataclass(frozen=True, slots=True)
class RegimeOutcome:
    """A portfolio within one macro regime. figures: None where no scenario was in it."""

    regime: str
    probability: float
    figures: StressFigures | None


def stressed(draws: PortfolioDraws, shares: FloatArray, cvar_confidence: float) -> StressFigures:
    """shares: (n_regimes,), >= 0, summing to 1; a regime with a share needs a scenario in it."""
    counts = np.bincount(draws.regimes, minlength=shares.size)
    assert np.all(counts[shares > 0] > 0)
    of_regime = np.divide(shares, counts, out=np.zeros_like(shares), where=counts > 0)
    weights = of_regime[draws.regimes]
    losses = shortfalls(draws.multiples)
    lost = (draws.multiples < LOSS_THRESHOLD).astype(np.float64)
    tail = tail_contributions(losses, cvar_confidence, weights)

    def error(values: FloatArray) -> float | None:
        return _stratified_error(values, draws, shares)

    return StressFigures(
        shares=shares,
        scenarios=int(counts[shares > 0].sum()),
        effective_scenarios=1.0 / math.fsum(weights**2),
        expected_moic=math.fsum(weights * draws.multiples),
        loss_probability=math.fsum(weights * lost),
        cvar=cvar(losses, cvar_confidence, weights),
        expected_winners=math.fsum(weights * draws.winners),
        errors=StandardErrors(error(draws.multiples), error(lost), error(tail), error(draws.winners)),
    )


def by_regime(draws: PortfolioDraws, regimes: Sequence[Regime], cvar_confidence: float) -> list[RegimeOutcome]:
    """The figures within each regime, in the order of the regimes."""
    found = []
    for position, regime in enumerate(regimes):
        alone = np.zeros(len(regimes))
        alone[position] = 1.0
        seen = bool(np.any(draws.regimes == position))
        figures = stressed(draws, alone, cvar_confidence) if seen else None
        found.append(RegimeOutcome(regime.name, regime.probability, figures))
    return found


def stress_shares(wanted: Mapping[str, float], regimes: Sequence[Regime]) -> FloatArray:
    """Shares of all regimes, (n_regimes,), from those that are named; the others share what is left as they did before.

    Raises BadInput for an unknown regime, a share outside [0, 1], shares that cannot add up to 1, or one for a regime
    that no scenario is in.
    """
    names = [regime.name for regime in regimes]
    problems = [*_share_problems(wanted, regimes), *_sum_problems(wanted, regimes)]
    if problems:
        raise BadInput(problems)
    left = max(0.0, 1.0 - math.fsum(wanted.values()))
    others = math.fsum(regime.probability for regime in regimes if regime.name not in wanted)
    shares = np.array(
        [
            wanted[name] if name in wanted else (left * regime.probability / others if others > 0 else 0.0)
            for name, regime in zip(names, regimes, strict=True)
        ]
    )
    normalized: FloatArray = shares / math.fsum(shares)
    return normalized


def _share_problems(wanted: Mapping[str, float], regimes: Sequence[Regime]) -> list[FieldProblem]:
    probability = {regime.name: regime.probability for regime in regimes}
    problems = []
    for name, share in wanted.items():
        if name not in probability:
            problems.append(
                FieldProblem("stress", name, f"must name a regime of the session: {', '.join(probability)}")
            )
        elif not 0.0 <= share <= 1.0:
            problems.append(FieldProblem(f"stress {name}", share, "must be a share between 0 and 1"))
        elif share > 0.0 and probability[name] == 0.0:
            rule = "must be 0: the session gives this regime no probability, so no scenario is in it"
            problems.append(FieldProblem(f"stress {name}", share, rule))
    return problems


def _sum_problems(wanted: Mapping[str, float], regimes: Sequence[Regime]) -> list[FieldProblem]:
    total = math.fsum(share for share in wanted.values() if not math.isnan(share))
    if total > 1.0 + SUM_TOLERANCE:
        return [FieldProblem("stress", total, "is the sum of the shares; it must not exceed 1")]
    others = math.fsum(regime.probability for regime in regimes if regime.name not in wanted)
    if others == 0.0 and total < 1.0 - SUM_TOLERANCE:
        return [FieldProblem("stress", total, "is the sum of the shares; with every regime named it must be 1")]
    return []


def _stratified_error(values: FloatArray, draws: PortfolioDraws, shares: FloatArray) -> float | None:
    """None where a regime that counts has a single scenario."""
    variance = 0.0
    for position in np.flatnonzero(shares > 0):
        own = values[draws.regimes == position]
        if own.size < 2:
            return None
        variance += shares[position] ** 2 * float(np.var(own, ddof=1)) / own.size
    return math.sqrt(variance)
