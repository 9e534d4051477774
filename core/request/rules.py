"""The rules that only the buckets can tell: names that exist, limits that can be met, shares that cover the capital."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from core.errors import FieldProblem
from core.request.model import SUM_TOLERANCE, Bounds, BucketRequest, OptimizationRequest
from core.request.scenarios import LabelledCorrelation

CORRELATION_FIELD = "scenarioGenConfig.regimeConfig.correlationMatrix"


def bucket_dependent_problems(request: OptimizationRequest, buckets: Sequence[BucketRequest]) -> Iterator[FieldProblem]:
    """Every contradiction between the request and the (at least one, distinct) buckets it is about."""
    stages = {str(bucket.stage) for bucket in buckets}
    sectors = {bucket.sector for bucket in buckets}
    yield from _bounds_problems(
        "stageBounds", {str(stage): limits for stage, limits in request.stage_bounds.items()}, stages
    )
    yield from _bounds_problems("sectorBounds", request.sector_bounds, sectors)
    yield from _unknown_names("policy.sectorRiskMultipliers", request.policy.sector_risk_multipliers, sectors)
    yield from _unknown_names("policy.sectorReturnMultipliers", request.policy.sector_return_multipliers, sectors)
    yield from _bucket_cap_problems(request.bucket_max_weight, len(buckets))
    yield from _correlation_problems(request, sectors)


def _bounds_problems(field: str, bounds: Mapping[str, Bounds], known: set[str]) -> Iterator[FieldProblem]:
    yield from _unknown_names(field, bounds, known)
    total = math.fsum(bounds[name].max if name in bounds else 1.0 for name in known)
    if total < 1 - SUM_TOLERANCE:
        which = ", ".join(f"{name} {bounds[name].max:g}" for name in sorted(known))
        rule = f"is the sum of the maxima ({which}), which is below 1; it must be at least 1"
        yield FieldProblem(field, total, rule)


def _unknown_names(field: str, names: Mapping[str, object], known: set[str]) -> Iterator[FieldProblem]:
    for name in names:
        if name not in known:
            yield FieldProblem(f"{field}.{name}", str(name), f"no bucket is there; known: {', '.join(sorted(known))}")


def _bucket_cap_problems(cap: float | None, n_buckets: int) -> Iterator[FieldProblem]:
    if cap is not None and cap * n_buckets < 1 - SUM_TOLERANCE:
        # Rounded up, so that the number shown is itself admissible.
        least = math.ceil(1e6 / n_buckets) / 1e6
        rule = f"must be at least 1/{n_buckets} = {least:.6f}, or {n_buckets} buckets cannot take all the capital"
        yield FieldProblem("bucketMaxWeight", cap, rule)


def _correlation_problems(request: OptimizationRequest, sectors: set[str]) -> Iterator[FieldProblem]:
    correlation = request.scenario_gen_config.regime_config.correlation_matrix
    if correlation is None:
        return
    if isinstance(correlation, LabelledCorrelation):
        if set(correlation.sectors) != sectors:
            rule = f"must be exactly the sectors of the buckets: {', '.join(sorted(sectors))}"
            yield FieldProblem(f"{CORRELATION_FIELD}.sectors", list(correlation.sectors), rule)
    elif len(correlation) != len(sectors):
        rule = f"is the number of rows; it must be the number of sectors of the buckets ({len(sectors)})"
        yield FieldProblem(CORRELATION_FIELD, len(correlation), rule)
