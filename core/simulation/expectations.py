"""Which buckets have one distribution, and what names it: neither fund nor seed nor sector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.canonical import canonical_json, sha256_hex
from core.matrix.scenario_set import Expectations
from core.simulation.inputs import BucketParams, Regime, SimulationInputs

EXPECTATIONS_VERSION = "expectations_v1"
"""How they are computed; what changes a bit of them is a new version."""


def distribution_of(bucket: BucketParams) -> BucketParams:
    """What remains of a bucket's parameters when its name and its sector's are taken away: equal for buckets whose
    companies have one distribution. What a check costs, and how checks vary, moves no expectation."""
    return replace(bucket, key="", sector="", initial_check_size=0.0, check_size_cv=0.0)


def by_distribution(
    buckets: Sequence[BucketParams], evaluate: Callable[[int, BucketParams], tuple[float, float, float, float]]
) -> Expectations:
    """Each distribution evaluated once, at the position of its first bucket.

    evaluate: (position, distribution) to mean, chance to win and the errors of both.
    """
    found: dict[BucketParams, tuple[float, float, float, float]] = {}
    for position, bucket in enumerate(buckets):
        distribution = distribution_of(bucket)
        if distribution not in found:
            found[distribution] = evaluate(position, distribution)
    rows = np.array([found[distribution_of(bucket)] for bucket in buckets])
    return Expectations(*(np.ascontiguousarray(column) for column in rows.T))


def distribution_key(inputs: SimulationInputs, distribution: BucketParams) -> str:
    """Names the distribution and everything else that its expectations depend on, for the numbers they are drawn
    from: neither fund nor seed nor sector enters."""
    recycling, copula = inputs.recycling, inputs.copula
    document = {
        "version": EXPECTATIONS_VERSION,
        "stage": distribution.stage.value,
        "multiples": [distribution.median_moic, distribution.p90_moic],
        "reserves": [distribution.reserve_ratio, distribution.rounds_to_exit],
        "multipliers": [distribution.sector_risk_multiplier, distribution.sector_return_multiplier],
        "transitions": {
            stage.value: [rates.exit_rate, rates.graduate_rate, rates.failure_rate]
            for stage, rates in inputs.transitions.items()
        },
        "exitOutcomes": {
            stage.value: [outcome.median_moic, outcome.p90_moic] for stage, outcome in inputs.exit_outcomes.items()
        },
        "regimes": _regimes(inputs.regimes),
        "recycling": [
            recycling.enabled,
            recycling.utilization,
            recycling.cash_multiple,
            recycling.max_recycle_deals,
        ],
        "capTable": inputs.cap_table.model_dump(),
        "limits": [inputs.max_rounds, inputs.winner_multiple],
        "copula": None
        if copula is None
        else {
            "companies": copula.companies_per_bucket,
            "shares": [copula.regime_share, copula.sector_share, copula.idiosyncratic_share, copula.share_group_size],
            "transitionCorrelation": copula.transition_correlation,
            "caps": [copula.outcome_cap, copula.recycling_cap],
            "referenceRegimes": _regimes(copula.reference_regimes),
        },
    }
    return sha256_hex(canonical_json(document))


def _regimes(regimes: tuple[Regime, ...]) -> list[list[str | float]]:
    return [[regime.name, regime.probability, regime.shock_min, regime.shock_max] for regime in regimes]
