"""The limits that a portfolio must keep, as they were asked for or as relaxation moved them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class Limits:
    """What the program enforces on a matrix of a given number of scenarios.

    max_losses: how many scenarios may lose money. cvar_limit: fraction of capital. cvar_confidence: in [0, 1).
    min_expected_winners: companies. bucket_max_weight: fraction of capital, None for no cap.
    sector_bounds, stage_bounds: bounds of sums of weights; what is not named is unbounded.
    """

    max_losses: int
    cvar_limit: float
    cvar_confidence: float
    min_expected_winners: float
    bucket_max_weight: float | None
    sector_bounds: Mapping[str, WeightBounds]
    stage_bounds: Mapping[Stage, WeightBounds]

    @classmethod
    def of(cls, config: NormalizedConfig, scenario_count: int) -> Limits:
        """The limits exactly as the configuration asks for them; K = floor(p S), 1e-9 against the rounding of p S."""
        return cls(
            max_losses=math.floor(config.max_loss_probability * scenario_count + 1e-9),
            cvar_limit=config.cvar_limit,
            cvar_confidence=config.cvar_confidence_level,
            min_expected_winners=config.min_expected_winners,
            bucket_max_weight=config.bucket_max_weight,
            sector_bounds=config.sector_bounds,
            stage_bounds=config.stage_bounds,
        )
