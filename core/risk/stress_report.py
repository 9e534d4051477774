"""One portfolio under every regime, and under the shares that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.portfolio.dollars import WholeDeals
from core.request.normalized_config import NormalizedConfig
from core.risk.out_of_sample_trial import OutOfSampleTrial, PortfolioDraws
from core.risk.stress import RegimeOutcome, StressFigures, by_regime, stress_shares, stressed
from core.simulation.inputs import SimulationInputs


@dataclass(frozen=True, slots=True)
class StressedPortfolio:
    """stressed: under the shares that were asked for, None where none were."""

    as_simulated: StressFigures
    by_regime: Sequence[RegimeOutcome]
    stressed: StressFigures | None


@dataclass(frozen=True, slots=True)
class StressReport:
    """weights: in buckets of as many companies as the matrix has; whole_deals: the portfolio as it can be bought.

    regimes: name to (probability, share asked for or None).
    """

    scenarios: int
    regimes: Mapping[str, tuple[float, float | None]]
    weights: StressedPortfolio
    whole_deals: StressedPortfolio


def stress_report(
    config: NormalizedConfig,
    inputs: SimulationInputs,
    weights: FloatArray,
    deals: WholeDeals,
    *,
    wanted: Mapping[str, float],
    scenarios: int,
) -> StressReport:
    """weights: (n_buckets,); deals: what they buy. wanted: regime to share; none: only as simulated.

    Raises BadInput for shares that cannot be.
    """
    shares = stress_shares(wanted, inputs.regimes) if wanted else None
    trial = OutOfSampleTrial(config, inputs, scenarios)
    confidence = config.cvar_confidence_level

    def view(draws: PortfolioDraws) -> StressedPortfolio:
        return StressedPortfolio(
            as_simulated=stressed(draws, _observed(draws, len(inputs.regimes)), confidence),
            by_regime=by_regime(draws, inputs.regimes, confidence),
            stressed=None if shares is None else stressed(draws, shares, confidence),
        )

    return StressReport(
        scenarios=scenarios,
        regimes={
            regime.name: (regime.probability, None if shares is None else float(shares[r]))
            for r, regime in enumerate(inputs.regimes)
        },
        weights=view(trial.of_weights(weights)),
        whole_deals=view(trial.of_deals(deals.weights, deals.cash_weight, deals.counts)),
    )


def _observed(draws: PortfolioDraws, n_regimes: int) -> FloatArray:
    """The regimes' shares among the scenarios themselves: every scenario weighs the same, as in the validation."""
    counts: FloatArray = np.bincount(draws.regimes, minlength=n_regimes) / draws.regimes.size
    return counts
