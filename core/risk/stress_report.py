"""One portfolio under every regime and under the shares that were asked for, as a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.portfolio.dollars import WholeDeals
from core.request.normalized_config import NormalizedConfig
from core.risk.out_of_sample_trial import OutOfSampleTrial, PortfolioDraws
from core.risk.stress import by_regime, stress_shares, stressed
from core.simulation.inputs import SimulationInputs


def stress_report(
    config: NormalizedConfig,
    inputs: SimulationInputs,
    weights: FloatArray,
    deals: WholeDeals,
    *,
    wanted: Mapping[str, float],
    scenarios: int,
) -> dict[str, Any]:
    """JSON-ready. weights: (n_buckets,); deals: what they buy. wanted: regime to share; none: only as simulated.

    `weights` is in buckets of as many companies as the matrix has, `wholeDeals` as it can be bought. `stressed` is null
    where nothing is wanted. Raises BadInput for shares that cannot be.
    """
    shares = stress_shares(wanted, inputs.regimes) if wanted else None
    trial = OutOfSampleTrial(config, inputs, scenarios)
    portfolios = {
        "weights": trial.of_weights(weights),
        "wholeDeals": trial.of_deals(deals.weights, deals.cash_weight, deals.counts),
    }

    def view(draws: PortfolioDraws, of_regimes: FloatArray) -> dict[str, Any]:
        return stressed(draws, of_regimes, config.cvar_confidence_level).as_json()

    return {
        "scenarios": scenarios,
        "regimes": {
            regime.name: {"probability": regime.probability, "share": None if shares is None else float(shares[r])}
            for r, regime in enumerate(inputs.regimes)
        },
        **{
            name: {
                "asSimulated": view(draws, _observed(draws, len(inputs.regimes))),
                "byRegime": by_regime(draws, inputs.regimes, config.cvar_confidence_level),
                "stressed": None if shares is None else view(draws, shares),
            }
            for name, draws in portfolios.items()
        },
    }


def _observed(draws: PortfolioDraws, n_regimes: int) -> FloatArray:
    """The regimes' shares among the scenarios themselves: every scenario weighs the same, as in the validation."""
    counts: FloatArray = np.bincount(draws.regimes, minlength=n_regimes) / draws.regimes.size
    return counts
