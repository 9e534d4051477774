"""Simulation inputs and a configuration that belong together, small enough to reason about."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import numpy as np

from core.calibration.snapshot import CapTableTerms, ExitOutcome, StageTransitions
from core.matrix.scenario_matrix import ScenarioMatrix, ScenarioState
from core.request.normalized_config import ConfiguredBucket, NormalizedConfig
from core.simulation.inputs import BucketParams, CopulaTerms, Recycling, Regime, SimulationInputs
from core.stages import Stage, bucket_id

MULTIPLES = {Stage.SEED: (3.5, 19.0), Stage.A: (2.2, 10.5), Stage.B: (1.9, 7.0), Stage.C: (1.55, 4.4)}
TRANSITIONS = {
    Stage.SEED: StageTransitions(exit_rate=0.08, graduate_rate=0.30, failure_rate=0.26),
    Stage.A: StageTransitions(exit_rate=0.12, graduate_rate=0.34, failure_rate=0.17),
    Stage.B: StageTransitions(exit_rate=0.15, graduate_rate=0.29, failure_rate=0.12),
    Stage.C: StageTransitions(exit_rate=0.20, graduate_rate=0.15, failure_rate=0.12),
}
EXIT_OUTCOMES = {stage: ExitOutcome(median_moic=m, p90_moic=p90) for stage, (m, p90) in MULTIPLES.items()}
REGIMES = (Regime("base", 0.5, -0.3, 0.3), Regime("boom", 0.25, 0.3, 1.0), Regime("recession", 0.25, -1.0, -0.3))
NO_RECYCLING = Recycling(enabled=False, utilization=0.0, cash_multiple=1.0, max_recycle_deals=0)


def make_bucket(stage: Stage, sector: str, median: float, p90: float) -> BucketParams:
    return BucketParams(bucket_id(stage, sector), stage, sector, median, p90, 0.5, 1e6, 0.3, 3.0, 1.0, 1.0)


def make_inputs(sectors: int = 3, **changes: Any) -> SimulationInputs:
    """All stages times `sectors` sectors. `changes` replace whole fields."""
    buckets = [make_bucket(stage, f"S{i:02d}", *MULTIPLES[stage]) for stage in Stage for i in range(sectors)]
    inputs = SimulationInputs(
        matrix_key="matrix_v1.2_test",
        scenario_count=60,
        buckets=tuple(sorted(buckets, key=lambda bucket: bucket.key)),
        transitions=TRANSITIONS,
        exit_outcomes=EXIT_OUTCOMES,
        regimes=REGIMES,
        recycling=NO_RECYCLING,
        cap_table=CapTableTerms(
            dilution_per_round_pct=0.18, option_pool_refresh_pct=0.04, pro_rata_participation_rate=0.8
        ),
        max_rounds=10,
        winner_multiple=10.0,
        correlation=None,
        copula=None,
    )
    return dataclasses.replace(inputs, **changes)


COPULA = CopulaTerms(
    companies_per_bucket=10,
    regime_share=0.5,
    sector_share=0.25,
    idiosyncratic_share=0.25,
    share_group_size=30.0,
    transition_correlation=0.05,
    outcome_cap=250.0,
    recycling_cap=0.2,
    reference_regimes=REGIMES,
)


def copula_inputs(sectors: int = 3, terms: dict[str, Any] | None = None, **changes: Any) -> SimulationInputs:
    """Inputs of the second model; `terms` replace its own parameters, `changes` whole fields of the inputs."""
    return make_inputs(sectors, copula=dataclasses.replace(COPULA, **(terms or {})), **changes)


def make_config(buckets: tuple[ConfiguredBucket, ...], **changes: Any) -> NormalizedConfig:
    """No limit binds unless `changes` say so."""
    fields: dict[str, Any] = {
        "fund_id": UUID(int=1),
        "total_fund_size_usd": 1e8,
        "max_loss_probability": 1.0,
        "cvar_confidence_level": 0.95,
        "cvar_limit": 1.0,
        "min_expected_winners": 0.0,
        "bucket_max_weight": None,
        "sector_bounds": {},
        "stage_bounds": {},
        "buckets": buckets,
        "relaxation_mode": "minimal",
        "primary_lock_epsilon": 0.001,
        "validation_scenarios": 2000,
        "scenario_count": 400,
        "sim_model_version": "three_component_v1",
        "calibration_version": "c1",
        "taxonomy_version": "t1",
        "work_limit": 1000,
    }
    return NormalizedConfig(**{**fields, **changes})


def config_of(inputs: SimulationInputs, **changes: Any) -> NormalizedConfig:
    """The configuration whose buckets are those of the inputs."""
    buckets = tuple(
        ConfiguredBucket(
            bucket_id=bucket.key,
            stage=bucket.stage,
            sector=bucket.sector,
            initial_check_usd=bucket.initial_check_size,
            reserve_ratio=bucket.reserve_ratio,
        )
        for bucket in inputs.buckets
    )
    return make_config(buckets, scenario_count=inputs.scenario_count, **changes)


def deal_bucket(stage: Stage, sector: str, all_in_usd: float = 1e6) -> ConfiguredBucket:
    """A bucket without reserves, so that one deal costs just its check."""
    return ConfiguredBucket(
        bucket_id=bucket_id(stage, sector),
        stage=stage,
        sector=sector,
        initial_check_usd=all_in_usd,
        reserve_ratio=0.0,
    )


def matrix_of(rows: dict[str, list[float]], win_probability: list[float] | None = None) -> ScenarioMatrix:
    """A matrix with these multiples; its worlds say nothing."""
    moic = np.array([rows[key] for key in sorted(rows)], dtype=np.float32)
    n_buckets, n_scenarios = moic.shape
    state = ScenarioState("base", 0.0, (0.0,) * n_buckets, (0.0,) * n_buckets)
    wins = np.zeros(n_buckets) if win_probability is None else np.array(win_probability)
    return ScenarioMatrix(moic, tuple(sorted(rows)), wins, [state] * n_scenarios)
