"""One point of a frontier: the best portfolio at one value of the varied limit, with its proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from core.arrays import FloatArray
from core.errors import Infeasible, NoAnswerWithinLimit, SolverFailed
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.optimize import optimize
from core.portfolio.strict import StrictFigures
from core.request.normalized_config import NormalizedConfig
from core.risk.recheck import recheck
from core.solver.program import SolveControl, SolverBackend, SolveStatus


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """value: of the varied limit. status: as of a solve; `infeasible` is proven, `unknown` found and proved nothing.

    weights, first_weights: (B,), of the portfolio after the tie-break and before it. figures: of weights, recomputed.
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
        fields = dict(document)
        for name in ("weights", "first_weights"):
            fields[name] = None if fields[name] is None else np.array(fields[name], dtype=np.float64)
        fields["figures"] = None if fields["figures"] is None else StrictFigures(**fields["figures"])
        return cls(**fields)


def solve_point(
    value: float,
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    backend: SolverBackend,
    control: SolveControl,
    *,
    start: FloatArray | None = None,
) -> FrontierPoint:
    """config: with the limit at `value`; no limit is relaxed here, whatever its relaxation mode. start: weights (B,).

    Raises Cancelled, and SolverFailed for an answer that does not stand up to the check of its own limits.
    """
    strict = config.model_copy(update={"relaxation_mode": "off"})
    try:
        optimum = optimize(strict, matrix, backend, control, clock=lambda: 0.0, start=start, explain=False)
    except Infeasible:
        return FrontierPoint.infeasible(value)
    except NoAnswerWithinLimit:
        return FrontierPoint(value, "unknown")
    if not recheck(optimum.weights, matrix, config, optimum.limits).feasible:
        raise SolverFailed("a point of the frontier breaks its own limits")
    audit = optimum.audit
    return FrontierPoint(
        value=value,
        status=audit["status"],
        weights=optimum.weights,
        first_weights=optimum.first_weights,
        figures=optimum.figures,
        objective=optimum.first_objective,
        bound=audit["bound"] if np.isfinite(audit["bound"]) else None,
        gap=audit["gap"] if np.isfinite(audit["gap"]) else None,
        nodes=audit["nodes"],
        work=audit["work"],
        reproducible=audit["reproducible"],
        tie_break_proven=audit["tieBreak"]["proven"],
        backend=audit["backend"],
    )


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
        "allocation": None
        if point.weights is None
        else [
            {"bucketId": bucket.bucket_id, "weight": float(weight)}
            for bucket, weight in zip(config.buckets, point.weights, strict=True)
        ],
    }
