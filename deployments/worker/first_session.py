"""Imported into the clean process that runs are forked from, for what it does: what a first session loads, all have.

Compiled kernels and fonts are loaded when they are first used, which costs a small run more than its own work. So a
small session is simulated, solved and drawn here: without a database, a connection or a thread, which no fork survives.
"""

from __future__ import annotations

from uuid import UUID

import numpy as np

from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.request import parse_request
from core.request.normalize import normalize
from core.result.charts.portfolio import Holding, allocation_chart, multiples_chart
from core.simulation.models import model_of
from core.stages import Stage
from core.warmup import warm_up
from db.reference_calibrations import reference_calibration


def _simulate() -> ScenarioMatrix:
    request = parse_request(
        {
            "fundId": str(UUID(int=0)),
            "totalFundSize": 100_000_000,
            "maxLossProbability": 1.0,
            "cvarLimit": 1.0,
            "buckets": {"stages": [Stage.SEED.value], "sectors": ["AI"]},
            "scenarioGenConfig": {"scenarioCount": 10},
        }
    )
    normalized = normalize(request, reference_calibration())
    return model_of(normalized.config.sim_model_version).generate(simulation_inputs(normalized.key_document))


def _draw(matrix: ScenarioMatrix) -> None:
    allocation_chart([Holding("Seed_AI", Stage.SEED, 1.0, "AI")])
    multiples_chart(matrix.moic[0].astype(np.float64))


warm_up()
_draw(_simulate())
