"""The case that benchmarks solve: the shipped calibration, with limits set by what the fund would do without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.calibration.snapshot import CalibrationSnapshot
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.request import parse_request
from core.request.normalize import normalize
from core.request.normalized_config import NormalizedConfig
from core.simulation.models import model_of
from core.solver.feasibility import loss_count, loss_tail, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram
from core.solver.rows import RowBlocks, dense_rows
from core.stages import Stage
from db.funds import EXAMPLE_FUND_ID
from db.reference_calibrations import reference_calibration

BUCKET_CAP = 0.15
HALFWAY = 0.5
FUND_USD = 100_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """document: the request as a user would write it. program: its primary solve, for other solvers.

    free_losses: how many scenarios the best portfolio without risk limits loses; allowed_losses: how many this may.
    """

    document: dict[str, Any]
    key_document: dict[str, Any]
    matrix: ScenarioMatrix
    program: ChanceProgram
    free_losses: int
    allowed_losses: int


def make_case(seed: str, loss_share: float, n_buckets: int, n_scenarios: int, cvar_share: float = HALFWAY) -> Case:
    """loss_share: of what the best portfolio without risk limits loses, the share that may be lost.

    cvar_share: where the CVaR limit lies between the least that any portfolio can have (0) and that of the best one
    without risk limits (1). `seed` goes into the taxonomy version, which is in the matrix key and nowhere else.
    """
    unlimited = _document(seed, n_buckets, n_scenarios, max_loss_probability=1.0, cvar_limit=1.0)
    normalized = normalize(parse_request(unlimited), _benchmark())
    matrix = model_of(normalized.config.sim_model_version).generate(simulation_inputs(normalized.key_document))
    free = _program(normalized.config, matrix)
    portfolio = multiples(free, best_without_risk_limits(free))
    free_losses = loss_count(portfolio)
    free_cvar = loss_tail(portfolio, free.cvar_confidence).value
    allowed = int(loss_share * free_losses)
    document = _document(
        seed,
        n_buckets,
        n_scenarios,
        max_loss_probability=allowed / n_scenarios,
        cvar_limit=cvar_share * free_cvar + (1.0 - cvar_share) * least_cvar(free),
    )
    config = normalize(parse_request(document), _benchmark()).config
    return Case(document, normalized.key_document, matrix, _program(config, matrix), free_losses, allowed)


def _program(config: NormalizedConfig, matrix: ScenarioMatrix) -> ChanceProgram:
    return PortfolioProblem.of(config, matrix).program(Limits.of(config, matrix.n_scenarios))


def best_without_risk_limits(program: ChanceProgram) -> FloatArray:
    """The best portfolio without risk limits: the polytope alone."""
    polytope = program.polytope
    model = HighsModel(
        program.objective,
        polytope.lower,
        polytope.upper,
        dense_rows(polytope.rows, polytope.row_lower, polytope.row_upper),
    )
    assert model.run() == "optimal"
    return model.x


def _benchmark() -> CalibrationSnapshot:
    return reference_calibration()


def _document(
    seed: str, n_buckets: int, n_scenarios: int, *, max_loss_probability: float, cvar_limit: float
) -> dict[str, Any]:
    stages = list(Stage)
    return {
        "fundId": str(EXAMPLE_FUND_ID),
        "totalFundSize": FUND_USD,
        "maxLossProbability": max_loss_probability,
        "cvarLimit": cvar_limit,
        "bucketMaxWeight": BUCKET_CAP,
        "buckets": [
            {"stage": stages[b % len(stages)].value, "sector": f"Sector{b // len(stages):02}"} for b in range(n_buckets)
        ],
        "scenarioGenConfig": {"scenarioCount": n_scenarios},
        "taxonomyVersion": seed,
        "calibrationVersion": _benchmark().version,
    }


def least_cvar(program: ChanceProgram) -> float:
    """By the epigraph of Rockafellar and Uryasev (2000): min tau + sum u / ((1 - c) S), u_s >= 1 - M_s - tau."""
    s, n = program.payoffs.shape
    rows = RowBlocks()
    rows.add(program.polytope.row_lower, program.polytope.row_upper, {0: program.polytope.rows})
    rows.add(1.0, np.inf, {0: program.payoffs, n: np.ones(s), n + s: np.ones((s, 1))})
    tail = (1.0 - program.cvar_confidence) * s
    model = HighsModel(
        -np.concatenate([np.zeros(n), np.full(s, 1.0 / tail), [1.0]]),
        np.zeros(n + s + 1),
        np.concatenate([program.polytope.upper, np.full(s + 1, np.inf)]),
        rows.assemble(),
    )
    assert model.run() == "optimal"
    return -model.objective
