"""A whole frontier as one JSON document, and as the picture of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.charts.frontier import ChartPoint, FrontierPicture
from core.frontier.point import FrontierPoint, point_document
from core.frontier.variation import Variation
from core.request.normalized_config import NormalizedConfig
from core.solver.program import SolveControl

LEAST_POINTS = 2
"""With a portfolio, to be called flat."""

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
        "note": flatness(points, config),
        "evenSectors": config.expectations == "distribution",
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


def flatness(points: Sequence[FrontierPoint], config: NormalizedConfig) -> str | None:
    """What a frontier that is flat says; None for one that is not, or has fewer than two portfolios.

    By the distribution a difference is real unless an even spread may cost as much; by a sample, where one value lies
    in every point's 95% interval out of sample, none is shown.
    """
    found = [point.figures.expected_moic for point in points if point.figures is not None]
    if len(found) < LEAST_POINTS:
        return None
    said = f"The frontier is flat: its ends differ by {max(found) - min(found):.3f}x of expected MOIC"
    if config.expectations == "distribution":
        if max(found) - min(found) > 2.0 * config.primary_lock_epsilon:
            return None
        return f"{said}, no more than an even spread of the capital may cost."
    judged = [point.out_of_sample["expectedMoic"] for point in points if point.out_of_sample is not None]
    if len(judged) < LEAST_POINTS or max(one["low"] for one in judged) > min(one["high"] for one in judged):
        return None
    return f"{said}, which is within the noise of the scenarios they are judged in."


def in_words(field: str) -> str:
    """The limit that is varied."""
    if field in _WORDS:
        return _WORDS[field]
    head, _, rest = field.partition(".")
    name, _, side = rest.rpartition(".")
    place = f"stage {name}" if head == "stageBounds" else name
    return f"{'least' if side == 'min' else 'largest'} weight of {place}"


def risk_out_of_sample(point: Mapping[str, Any], name: str) -> str:
    """A risk of a point's portfolio with its interval: "24.6% (24.1 to 25.1)"; on its own scenarios where it is not
    known on others, empty without a portfolio."""
    found = point.get("outOfSample")
    if found is None:
        return "" if point[name] is None else f"{point[name]:.1%} (own scenarios)"
    figure = found[name]
    return f"{figure['value']:.1%} ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


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
