"""A whole frontier as one JSON document, and as the picture of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.charts.frontier import ChartPoint, FrontierPicture
from core.frontier.point import FrontierPoint, point_document
from core.frontier.variation import Variation
from core.request.normalized_config import NormalizedConfig
from core.solver.program import SolveControl

_WORDS = {
    "maxLossProbability": "limit on the share of scenarios that lose money",
    "cvarLimit": "limit on CVaR (mean loss in the worst scenarios)",
    "cvarConfidenceLevel": "confidence level of the CVaR limit",
    "minExpectedWinners": "least expected number of winners",
    "bucketMaxWeight": "largest weight of one bucket",
}


def frontier_document(
    variation: Variation,
    asked: float | None,
    points: Sequence[FrontierPoint],
    *,
    config: NormalizedConfig,
    matrix_key: str,
) -> dict[str, Any]:
    """points: one per value, from the tightest to the loosest. Holds nothing but what the request decides."""
    return {
        "fundId": str(config.fund_id),
        "vary": {"field": variation.field, "values": list(variation.values), "asked": asked},
        "points": [point_document(point, config) for point in points],
        "solver": {
            "backend": next((point.backend for point in points if point.backend is not None), None),
            "relativeGap": SolveControl().relative_gap,
            "workLimit": config.work_limit,
            "nodes": sum(point.nodes for point in points),
            "work": sum(point.work for point in points),
            "reproducible": all(point.reproducible for point in points),
        },
        "matrixKey": matrix_key,
        "calibrationVersion": config.calibration_version,
        "modelVersion": config.sim_model_version,
    }


def in_words(field: str) -> str:
    """The limit that is varied."""
    if field in _WORDS:
        return _WORDS[field]
    head, _, rest = field.partition(".")
    name, _, side = rest.rpartition(".")
    place = f"stage {name}" if head == "stageBounds" else name
    return f"{'least' if side == 'min' else 'largest'} weight of {place}"


def is_fraction(field: str) -> bool:
    """Winners are counted; every other limit is a fraction."""
    return field != "minExpectedWinners"


def frontier_picture(document: Mapping[str, Any]) -> FrontierPicture:
    """What the chart of a frontier's document shows."""
    vary = document["vary"]
    points = [
        ChartPoint(point["value"], point["pass1EStar"], point["bound"], point["status"] == "infeasible")
        for point in document["points"]
    ]
    return FrontierPicture(points, in_words(vary["field"]), is_fraction(vary["field"]), vary["asked"])
