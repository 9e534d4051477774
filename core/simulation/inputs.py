"""What a scenario model reads: the parameters of the canonical key document, typed. Nothing else may reach it."""

from __future__ import annotations

from dataclasses import dataclass

from core.calibration.snapshot import CapTableTerms, ExitOutcome, StageTransitions
from core.stages import Stage

MOST_GENERATED = 10_000
"""Scenarios that a matrix may be chosen from: every pair of them has a number, 400 MB for so many."""


@dataclass(frozen=True, slots=True)
class BucketParams:
    """One bucket's parameters, all eleven of the key. Amounts in USD; multiples on allocated capital."""

    key: str
    stage: Stage
    sector: str
    median_moic: float
    p90_moic: float
    reserve_ratio: float
    initial_check_size: float
    check_size_cv: float
    rounds_to_exit: float
    sector_risk_multiplier: float
    sector_return_multiplier: float


@dataclass(frozen=True, slots=True)
class Regime:
    """A macroeconomic regime: its probability and the range its shock is uniform in (min <= max)."""

    name: str
    probability: float
    shock_min: float
    shock_max: float


@dataclass(frozen=True, slots=True)
class Recycling:
    """Re-investment of proceeds. Disabled is exactly (False, 0, 1, 0)."""

    enabled: bool
    utilization: float
    cash_multiple: float
    max_recycle_deals: int


@dataclass(frozen=True, slots=True)
class CopulaTerms:
    """What `three_component_v2` alone reads.

    companies_per_bucket: that a matrix entry is the mean of. regime_share, sector_share, idiosyncratic_share: of the
    variance of the mean log multiple of `share_group_size` companies of a sector. transition_correlation: of failures,
    in [0, 1). outcome_cap: largest multiple of an exit before dilution. recycling_cap: largest part of the allocated
    capital that is recycled. reference_regimes: those that the calibrated marginals hold under.
    """

    companies_per_bucket: int
    regime_share: float
    sector_share: float
    idiosyncratic_share: float
    share_group_size: float
    transition_correlation: float
    outcome_cap: float
    recycling_cap: float
    reference_regimes: tuple[Regime, ...]


@dataclass(frozen=True, slots=True)
class SimulationInputs:
    """buckets: in bucket-key order; regimes: in name order, probabilities summing to 1.

    matrix_key: seeds every draw. correlation: (sector labels, rows) or None for independent sectors.
    exit_outcomes: of the stages that are calibrated. copula: None for a model that does not read it.
    """

    matrix_key: str
    scenario_count: int
    buckets: tuple[BucketParams, ...]
    transitions: dict[Stage, StageTransitions]
    exit_outcomes: dict[Stage, ExitOutcome]
    regimes: tuple[Regime, ...]
    recycling: Recycling
    cap_table: CapTableTerms
    max_rounds: int
    winner_multiple: float
    correlation: tuple[tuple[str, ...], tuple[tuple[float, ...], ...]] | None
    copula: CopulaTerms | None
