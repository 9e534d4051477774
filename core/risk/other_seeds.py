"""The same request under other seeds: how much of an answer is luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from core.errors import NoAnswerWithinLimit
from core.matrix.scenario_matrix import ScenarioMatrix
from core.matrix.scenario_set import Scenarios
from core.portfolio.limits import Limits
from core.portfolio.optimize import optimize
from core.request.normalized_config import NormalizedConfig
from core.risk.comparison_portfolios import OTHER_SEEDS, Candidate
from core.risk.recheck import recheck
from core.risk.scenario_sets import risk_estimator, scenarios_to_choose_on
from core.simulation.inputs import SimulationInputs
from core.solver.program import SolveControl, SolverBackend


def under_other_seeds(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    inputs: SimulationInputs,
    *,
    limits: Limits,
    backend: SolverBackend,
    control: SolveControl,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Candidate]:
    """Chosen and tightened on scenarios of their own; none where the scenarios are those of a given matrix, or where a
    seed finds no answer. limits: that the answer kept, to see whether these keep them on its scenarios.

    Raises Cancelled.
    """
    if config.expectations == "sample" or config.risk_scenarios is None:
        return []
    found = []
    answers_scenarios: Scenarios = scenarios_to_choose_on(config, matrix, inputs, cancelled)
    for name in OTHER_SEEDS:
        seeded = replace(inputs, matrix_key=f"{inputs.matrix_key}/{name}")
        scenarios = scenarios_to_choose_on(config, matrix, seeded, cancelled)
        try:
            optimum = optimize(
                config,
                scenarios,
                backend,
                control,
                clock=time.perf_counter,
                explain=False,
                estimate=risk_estimator(config, seeded, cancelled),
            )
        except NoAnswerWithinLimit:
            continue
        keeps = recheck(optimum.weights, answers_scenarios, config, limits).feasible
        found.append(Candidate(name, optimum.weights, 0.0, keeps))
    return found
