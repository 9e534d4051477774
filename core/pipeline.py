"""From a request to its result, without a database: prepare, simulate, optimize, validate.

The tasks of a session call the same parts, so a result that is made here has the bytes of one that is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from core.calibration.snapshot import CalibrationSnapshot
from core.errors import Cancelled
from core.matrix.key import simulation_inputs
from core.matrix.reduction.matrix import reduce_as_asked
from core.matrix.scenario_matrix import MatrixBlockRange, ScenarioMatrix
from core.portfolio.optimize import optimize as optimize_portfolio
from core.request import OptimizationRequest
from core.request.normalize import NormalizedRequest, normalize
from core.request.normalized_config import NormalizedConfig
from core.result.assemble import result_of, stored_validation
from core.result.build import allocation_of, deals_from, limits_from, optimization_of, validation_of, weights_from
from core.result.model import Holding, Optimization, Result, StoredValidation, Timings
from core.risk.other_seeds import under_other_seeds
from core.risk.scenario_sets import risk_estimator, scenarios_to_choose_on
from core.risk.validate import validate as validate_portfolio
from core.simulation.block_ranges import BlockRange, block_ranges_of
from core.simulation.inputs import SimulationInputs
from core.simulation.models import ByBlockRange, model_of
from core.solver.backends import make_backend
from core.solver.program import SolveControl, SolverBackend

Say = Callable[[str, str], None]
"""Told the stage (matrix, optimize, validate) and the step that begins."""
MapBlocks = Callable[[ByBlockRange, SimulationInputs, Sequence[BlockRange]], Sequence[MatrixBlockRange]]


@dataclass(frozen=True, slots=True)
class Optimized:
    """What the optimization of a session stores. pass1_e_star: best expected MOIC of the primary solve."""

    allocation: tuple[Holding, ...]
    optimization: Optimization
    pass1_e_star: float
    primary_lock_epsilon: float


def prepare(request: OptimizationRequest, calibration: CalibrationSnapshot) -> NormalizedRequest:
    """Every default resolved, and the key of the matrix. Raises BadInput with every rule that is broken."""
    return normalize(request, calibration)


def simulate(
    key_document: Mapping[str, Any],
    *,
    map_blocks: MapBlocks | None = None,
    progress: Callable[[int, int], None] = lambda _done, _blocks: None,
) -> ScenarioMatrix:
    """The matrix of a canonical key document; the same bytes however it is divided.

    map_blocks: makes the block ranges of a large matrix elsewhere, in their order; None: one after another here, and
    `progress` is told how many are done, of how many. Raises BadInput for parameters that the model cannot have.
    """
    inputs = simulation_inputs(key_document)
    model = model_of(key_document["key"]["sim_model_version"])
    ranges = block_ranges_of(inputs.scenario_count, int(model.matrix_companies(inputs).sum()))
    if model.by_block_range is None or len(ranges) == 1:
        matrix = model.generate(inputs)
    elif map_blocks is not None:
        matrix = model.by_block_range.assemble(inputs, list(map_blocks(model.by_block_range, inputs, ranges)))
    else:
        made = []
        for done, block_range in enumerate(ranges):
            progress(done, len(ranges))
            made.append(model.by_block_range.simulate(inputs, block_range.start, block_range.stop))
        progress(len(ranges), len(ranges))
        matrix = model.by_block_range.assemble(inputs, made)
    return reduce_as_asked(matrix, key_document)


def optimize(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    control: SolveControl,
    *,
    inputs: SimulationInputs | None = None,
    backend: SolverBackend | None = None,
    step: Callable[[str], None] = lambda _step: None,
) -> Optimized:
    """The best portfolio within the limits.

    inputs: of the matrix; None for a matrix of the user's own, of which the sample is all that is known. backend: None
    for the default one. step: told each step as it begins. Raises Infeasible, NoAnswerWithinLimit, Cancelled.
    """
    solver = make_backend() if backend is None else backend

    def cancelled() -> bool:
        return control.interrupted() == "cancelled"

    if config.risk_scenarios is not None:
        step("drawing scenarios for the risk")
    began = perf_counter()
    scenarios = scenarios_to_choose_on(config, matrix, inputs, cancelled)
    drawn = perf_counter() - began
    optimum = optimize_portfolio(
        config,
        scenarios,
        solver,
        control,
        clock=perf_counter,
        stage=step,
        estimate=risk_estimator(config, inputs, cancelled),
    )
    expected = scenarios.expectations
    return Optimized(
        allocation=allocation_of(config, optimum.weights, expected),
        optimization=optimization_of(optimum, scenario_seconds=drawn),
        pass1_e_star=optimum.first_objective,
        primary_lock_epsilon=config.primary_lock_epsilon,
    )


def validate(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    inputs: SimulationInputs,
    *,
    allocation: Sequence[Holding],
    optimization: Optimization,
    control: SolveControl | None = None,
    step: Callable[[str], None] = lambda _step: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> StoredValidation:
    """Every limit again from the allocation, comparison portfolios, scenarios out of sample, and the verdict.

    control: of the solves under other seeds; None for the request's own work limit.
    Raises InvalidAllocation when the allocation is not one of this configuration, Cancelled once `cancelled` is True.
    """
    limits = limits_from(optimization.limits)
    solve = control or SolveControl(
        work_limit=config.work_limit, interrupted=lambda: "cancelled" if cancelled() else None
    )
    metrics = validate_portfolio(
        config,
        limits,
        matrix,
        inputs,
        weights=weights_from(allocation, config),
        deals=deals_from(allocation, config),
        other_seeds=lambda: under_other_seeds(
            config, matrix, inputs, limits=limits, backend=make_backend(), control=solve, cancelled=cancelled
        ),
        progress=step,
        cancelled=cancelled,
    )
    return stored_validation(optimization, allocation, validation_of(metrics))


def run(
    prepared: NormalizedRequest,
    *,
    say: Say = lambda _stage, _step: None,
    cancelled: Callable[[], bool] = lambda: False,
    control: SolveControl | None = None,
) -> Result:
    """All of it, in this process. control: None for the request's own work limit.

    Raises Infeasible, NoAnswerWithinLimit, Cancelled.
    """
    config, document = prepared.config, prepared.key_document

    def block_range(done: int, ranges: int) -> None:
        if cancelled():
            raise Cancelled("the simulation was told to stop")
        say("matrix", f"{done} of {ranges} block ranges")

    began = perf_counter()
    say("matrix", "simulating the scenarios")
    matrix = simulate(document, progress=block_range)
    simulated = perf_counter()
    solve = control or SolveControl(
        work_limit=config.work_limit, interrupted=lambda: "cancelled" if cancelled() else None
    )
    inputs = simulation_inputs(document)
    optimized = optimize(config, matrix, solve, inputs=inputs, step=lambda step: say("optimize", step))
    solved = perf_counter()
    validation = validate(
        config,
        matrix,
        inputs,
        control=control,
        allocation=optimized.allocation,
        optimization=optimized.optimization,
        step=lambda step: say("validate", step),
        cancelled=cancelled,
    )
    ended = perf_counter()
    return result_of(
        session_id=None,
        config=config,
        matrix_key=prepared.matrix_key,
        matrix_cache="generated",
        allocation=optimized.allocation,
        optimization=optimized.optimization,
        validation=validation,
        pass1_e_star=optimized.pass1_e_star,
        primary_lock_epsilon=optimized.primary_lock_epsilon,
        timings=Timings(
            waiting=None,
            matrix=simulated - began,
            optimize=solved - simulated,
            validate_=ended - solved,
            total=ended - began,
        ),
    )
