"""What a scenario model reads: the parameters of the canonical key document, typed. Nothing else may reach it."""

from __future__ import annotations

from dataclasses import dataclass

from core.calibration.snapshot import CapTableTerms, StageTransitions
from core.stages import Stage


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
class SimulationInputs:
    """buckets: in bucket-key order; regimes: in name order, probabilities summing to 1.

    matrix_key: seeds every draw. correlation: (sector labels, rows) or None for independent sectors.
    """

    matrix_key: str
    scenario_count: int
    buckets: tuple[BucketParams, ...]
    transitions: dict[Stage, StageTransitions]
    regimes: tuple[Regime, ...]
    recycling: Recycling
    cap_table: CapTableTerms
    max_rounds: int
    winner_multiple: float
    correlation: tuple[tuple[str, ...], tuple[tuple[float, ...], ...]] | None
