"""One point of a frontier: the best portfolio at one value of the varied limit, with its proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from core.arrays import FloatArray
from core.errors import Infeasible, NoAnswerWithinLimit, SolverFailed
from core.matrix.scenario_matrix import ScenarioMatrix
from core.matrix.scenario_set import Scenarios
from core.portfolio.optimize import Optimum, optimize
from core.portfolio.strict import StrictFigures
from core.request.normalized_config import NormalizedConfig
from core.result.build import out_of_sample_of
from core.risk.out_of_sample import Known, judge_out_of_sample
from core.risk.out_of_sample_trial import OutOfSampleTrial
from core.risk.recheck import recheck
from core.risk.scenario_sets import risk_estimator, scenarios_to_choose_on
from core.simulation.inputs import SimulationInputs
from core.solver.program import SolveControl, SolverBackend, SolveStatus


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """value: of the varied limit. status: as of a solve; `infeasible` is proven, `unknown` found and proved nothing.

    out_of_sample: the portfolio's figures in scenarios that no point was chosen on, as a result has them; None in
    points of earlier versions. weights, first_weights: (B,), of the portfolio after the tie-break and before it.
    figures: of weights, recomputed.
    objective: E*, best expected MOIC found in the primary solve. bound: nothing within the limits is better.
    """

    value: float
    status: SolveStatus
    weights: FloatArray | None = None
    first_weights: FloatArray | None = None
    figures: StrictFigures | None = None
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    nodes: int = 0
    work: int = 0
    reproducible: bool = True
    tie_break_proven: bool | None = None
    backend: str | None = None
    out_of_sample: Mapping[str, Any] | None = None

    @classmethod
    def infeasible(cls, value: float) -> Self:
        return cls(value, "infeasible")

    def as_json(self) -> dict[str, Any]:
        """For the way between processes; `point_document` is for people."""
        document = asdict(self)
        for name in ("weights", "first_weights"):
            array = getattr(self, name)
            document[name] = None if array is None else array.tolist()
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        fields = {"out_of_sample": None, **document}
        for name in ("weights", "first_weights"):
            fields[name] = None if fields[name] is None else np.array(fields[name], dtype=np.float64)
        fields["figures"] = None if fields["figures"] is None else StrictFigures(**fields["figures"])
        return cls(**fields)


def solve_point(
    value: float,
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    inputs: SimulationInputs | None,
    *,
    backend: SolverBackend,
    control: SolveControl,
    start: FloatArray | None = None,
) -> FrontierPoint:
    """config: with the limit at `value`; no limit is relaxed here, whatever its relaxation mode. inputs: of the matrix,
    None for one of which nothing else is known. start: weights (B,).

    Limits are tightened as for a session of this request, and the portfolio is judged in the same scenarios out of
    sample as the other points'. Raises Cancelled, and SolverFailed for an answer that does not stand up to the check of
    its own limits.
    """
    strict = config.model_copy(update={"relaxation_mode": "off"})

    def cancelled() -> bool:
        return control.interrupted() == "cancelled"

    scenarios = scenarios_to_choose_on(config, matrix, inputs, cancelled)
    try:
        optimum = optimize(
            strict,
            scenarios,
            backend,
            control,
            clock=lambda: 0.0,
            start=start,
            explain=False,
            estimate=risk_estimator(config, inputs, cancelled),
        )
    except Infeasible:
        return FrontierPoint.infeasible(value)
    except NoAnswerWithinLimit:
        return FrontierPoint(value, "unknown")
    if not recheck(optimum.weights, scenarios, config, optimum.limits).feasible:
        raise SolverFailed("a point of the frontier breaks its own limits")
    audit = optimum.audit
    return FrontierPoint(
        value=value,
        status=audit["status"],
        weights=optimum.weights,
        first_weights=optimum.first_weights,
        figures=optimum.figures,
        objective=optimum.first_objective,
        bound=optimum.asked_bound if np.isfinite(optimum.asked_bound) else None,
        gap=max(0.0, optimum.asked_bound - optimum.first_objective) / abs(optimum.first_objective)
        if np.isfinite(optimum.asked_bound)
        else None,
        out_of_sample=None if inputs is None else _out_of_sample(optimum, config, scenarios, inputs),
        nodes=audit["nodes"],
        work=audit["work"],
        reproducible=audit["reproducible"],
        tie_break_proven=audit["tieBreak"]["proven"],
        backend=audit["backend"],
    )


def _out_of_sample(
    optimum: Optimum, config: NormalizedConfig, scenarios: Scenarios, inputs: SimulationInputs
) -> dict[str, Any]:
    """Against the limits at this point's value."""
    judged = judge_out_of_sample(
        OutOfSampleTrial(config, inputs, config.validation_scenarios).of_weights(optimum.weights),
        in_sample_mean=optimum.figures.expected_moic,
        limits=optimum.limits,
        max_loss_probability=config.max_loss_probability,
        inputs=inputs,
        known=Known.of(optimum.weights, config, scenarios.expectations),
    )
    document = out_of_sample_of(judged).as_json()
    del document["byRegime"]
    return document


def point_document(point: FrontierPoint, config: NormalizedConfig) -> dict[str, Any]:
    """JSON-ready; null where a point has no portfolio. Weights of all buckets, in bucket-key order."""
    figures = point.figures
    return {
        "value": point.value,
        "status": point.status,
        "expectedMoic": None if figures is None else figures.expected_moic,
        "lossProbability": None if figures is None else figures.loss_probability,
        "cvar": None if figures is None else figures.cvar,
        "expectedWinners": None if figures is None else figures.expected_winners,
        "pass1EStar": point.objective,
        "bound": point.bound,
        "gap": point.gap,
        "nodes": point.nodes,
        "work": point.work,
        "reproducible": point.reproducible,
        "tieBreakProven": point.tie_break_proven,
        "outOfSample": None if point.out_of_sample is None else dict(point.out_of_sample),
        "allocation": None
        if point.weights is None
        else [
            {"bucketId": bucket.bucket_id, "weight": float(weight)}
            for bucket, weight in zip(config.buckets, point.weights, strict=True)
        ],
    }
