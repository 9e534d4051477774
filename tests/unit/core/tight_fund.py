"""Small funds whose limits are often too tight, for what happens when no portfolio meets them all."""

from __future__ import annotations

import numpy as np

from core.matrix.scenario_matrix import ScenarioMatrix
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.stages import Stage, bucket_id
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of

SECTORS, STAGES = ("Bio", "Cloud", "Data"), (Stage.A, Stage.SEED)


def tight_fund(seed: int) -> tuple[NormalizedConfig, ScenarioMatrix]:
    """Six buckets, 12 to 19 scenarios, limits of every class, each of them admissible by itself."""
    rng = np.random.Generator(np.random.Philox(seed))
    n_scenarios = int(rng.integers(12, 20))
    places = sorted((bucket_id(stage, sector), stage, sector) for stage in STAGES for sector in SECTORS)
    exits = rng.random((len(places), n_scenarios)) < 0.45
    multiples = np.where(exits, rng.pareto(1.5, exits.shape) + 0.8, 0.0)
    rows = {key: multiples[k].tolist() for k, (key, _, _) in enumerate(places)}
    sector_bounds = {sector: _bounds(rng, 0.3, 0.55) for sector in SECTORS}
    config = make_config(
        tuple(deal_bucket(stage, sector) for _, stage, sector in places),
        scenario_count=n_scenarios,
        max_loss_probability=float(rng.choice([0.0, 0.1, 0.3, 0.6])),
        cvar_confidence_level=float(rng.choice([0.5, 0.8])),
        cvar_limit=float(rng.choice([0.2, 0.5, 0.7])),
        min_expected_winners=float(rng.uniform(2.0, 9.0)),
        bucket_max_weight=float(rng.choice([0.2, 0.3])),
        sector_bounds=sector_bounds,
        stage_bounds={stage: _bounds(rng, 0.5, 0.6) for stage in STAGES},
        primary_lock_epsilon=0.01,
    )
    return config, matrix_of(rows, rng.uniform(0.0, 0.1, len(places)).tolist())


def _bounds(rng: np.random.Generator, largest_min: float, least_max: float) -> WeightBounds:
    return WeightBounds(min=float(rng.uniform(0.0, largest_min)), max=float(rng.uniform(least_max, 0.8)))
