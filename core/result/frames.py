"""Parts of a result as Polars frames, with the public names of its JSON keys as columns."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from core.result.model import Holding, VerdictLimit

ALLOCATION_SCHEMA = {
    "bucketId": pl.String,
    "stage": pl.String,
    "sector": pl.String,
    "weight": pl.Float64,
    "dollarAmount": pl.Float64,
    "dealCount": pl.Int64,
    "avgCheckSize": pl.Float64,
    "reserveRatio": pl.Float64,
    "allInCostPerDeal": pl.Float64,
}

LIMITS_SCHEMA = {
    "constraintId": pl.String,
    "asked": pl.Float64,
    "enforced": pl.Float64,
    "figure": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "basis": pl.String,
    "outOfSample": pl.Boolean,
    "status": pl.String,
    "sentence": pl.String,
}


def allocation_frame(allocation: Sequence[Holding]) -> pl.DataFrame:
    """One row a bucket, in the result's order."""
    return pl.DataFrame([holding.as_json() for holding in allocation], schema=ALLOCATION_SCHEMA)


def limits_frame(limits: Sequence[VerdictLimit]) -> pl.DataFrame:
    """One row a limit of the verdict."""
    return pl.DataFrame([limit.as_json() for limit in limits], schema=LIMITS_SCHEMA)
