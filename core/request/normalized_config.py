"""The normalized configuration: a request with every default resolved, frozen when the session is created.

What moves the matrix is not here but in the canonical key document (`core.matrix.key`), from which the simulation
reads. What is here is all that optimization and validation need beside the matrix.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from core.stages import Stage

RelaxationMode = Literal["minimal", "off"]
ExpectationsMode = Literal["distribution", "sample"]


class ConfigModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WeightBounds(ConfigModel):
    """Lower and upper limit of a sum of weights, as fractions of capital."""

    min: float = 0.0
    max: float = 1.0


class ConfiguredBucket(ConfigModel):
    """One row of the matrix as the optimizer sees it; amounts in USD."""

    bucket_id: str
    stage: Stage
    sector: str
    initial_check_usd: float
    reserve_ratio: float

    @property
    def all_in_cost_usd(self) -> float:
        """What one deal takes of the fund, reserves included: initial check * (1 + reserve ratio)."""
        return self.initial_check_usd * (1.0 + self.reserve_ratio)


class NormalizedConfig(ConfigModel):
    """Limits are fractions in [0, 1]; `buckets` are in bucket-key order (code points), as the matrix rows are.

    risk_scenarios: drawn for the two sampled limits; None: those of the matrix. The defaults are what sessions of
    versions before these fields mean.
    """

    fund_id: UUID
    total_fund_size_usd: float
    max_loss_probability: float
    cvar_confidence_level: float
    cvar_limit: float
    min_expected_winners: float
    bucket_max_weight: float | None
    sector_bounds: dict[str, WeightBounds]
    stage_bounds: dict[Stage, WeightBounds]
    buckets: tuple[ConfiguredBucket, ...]
    relaxation_mode: RelaxationMode
    primary_lock_epsilon: float
    validation_scenarios: int
    scenario_count: int
    sim_model_version: str
    calibration_version: str
    taxonomy_version: str
    work_limit: int
    expectations: ExpectationsMode = "sample"
    risk_scenarios: int | None = None
