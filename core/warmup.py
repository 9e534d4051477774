"""Make every kernel ready before somebody waits for it: small programs solved and a small matrix simulated.

Nothing of the product's core imports this; what sets up, or what runs are forked from, does.

    python -m core.warmup
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.calibration.snapshot import CapTableTerms, ExitOutcome, StageTransitions
from core.jit import remove_outdated
from core.simulation.inputs import BucketParams, CopulaTerms, Recycling, Regime, SimulationInputs
from core.simulation.models import model_of
from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.least_distance import nearest_to_origin
from core.solver.program import ChanceProgram, Polytope, SolveControl
from core.stages import Stage, bucket_id

N_COLUMNS, N_SCENARIOS, MAX_LOSSES = 8, 60, 24


def warm_up() -> None:
    """Compile every kernel, or load it where that has been done, and forget what older sources left on disk."""
    solve_small_programs()
    inputs = small_inputs()
    model_of("three_component_v2").generate(inputs)
    model_of("three_component_v2").expectations(inputs)
    nearest_to_origin(np.eye(2), np.array([1.0, -1.0]))
    remove_outdated()


def solve_small_programs() -> None:
    backend = BranchAndBoundBackend()
    program = small_program()
    backend.maximize(program, SolveControl())
    backend.maximize(replace(program, objective=np.zeros(N_COLUMNS)), SolveControl().any_answer())


def small_program() -> ChanceProgram:
    """Heavy-tailed multiples of which half are zero, with a loss limit and a CVaR limit that both bind: its solution
    runs through every kernel."""
    rng = np.random.Generator(np.random.Philox(1))
    exits = rng.random((N_SCENARIOS, N_COLUMNS)) < 0.5
    payoffs = np.where(exits, rng.pareto(1.5, exits.shape) + 0.9, 0.0)
    return ChanceProgram(
        objective=payoffs.mean(axis=0),
        polytope=Polytope(
            np.ones((1, N_COLUMNS)), np.ones(1), np.ones(1), np.zeros(N_COLUMNS), np.full(N_COLUMNS, 0.4)
        ),
        payoffs=payoffs,
        payoff_offset=np.zeros(N_SCENARIOS),
        max_losses=MAX_LOSSES,
        cvar_confidence=0.8,
        cvar_limit=0.8,
        cvar_slack=np.zeros(N_COLUMNS),
    )


def small_inputs() -> SimulationInputs:
    """One bucket with reserves and ten scenarios."""
    regimes = (Regime("base", 0.5, -0.3, 0.3), Regime("recession", 0.5, -1.0, -0.3))
    return SimulationInputs(
        matrix_key="warm-up",
        scenario_count=10,
        buckets=(BucketParams(bucket_id(Stage.B, "AI"), Stage.B, "AI", 1.9, 7.0, 0.5, 1e6, 0.3, 1.0, 1.0, 1.0),),
        transitions={
            Stage.B: StageTransitions(exit_rate=0.15, graduate_rate=0.29, failure_rate=0.12),
            Stage.C: StageTransitions(exit_rate=0.20, graduate_rate=0.15, failure_rate=0.12),
        },
        exit_outcomes={stage: ExitOutcome(median_moic=1.9, p90_moic=7.0) for stage in (Stage.B, Stage.C)},
        regimes=regimes,
        recycling=Recycling(enabled=True, utilization=0.3, cash_multiple=1.1, max_recycle_deals=1),
        cap_table=CapTableTerms(
            dilution_per_round_pct=0.18, option_pool_refresh_pct=0.04, pro_rata_participation_rate=0.8
        ),
        max_rounds=10,
        winner_multiple=10.0,
        correlation=None,
        copula=CopulaTerms(
            companies_per_bucket=2,
            regime_share=0.5,
            sector_share=0.25,
            idiosyncratic_share=0.25,
            share_group_size=30.0,
            transition_correlation=0.05,
            outcome_cap=250.0,
            recycling_cap=0.2,
            reference_regimes=regimes,
        ),
    )


if __name__ == "__main__":
    warm_up()
