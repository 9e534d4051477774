"""The steps of each company's path: what was raised at which stage on which day, and how the company ended.

A financing is all rounds of one company at one stage on one day.
"""

from __future__ import annotations

import polars as pl

from core.calibration.history import History
from core.calibration.placement import STAGES

DAYS_PER_MONTH = 365.25 / 12


def financings(history: History) -> pl.DataFrame:
    """One row a financing, by company and date: company_id, date, stage_code, place (0, 1, ... in the company's path),
    next_stage and next_date (null after the last); disposed_on and sold of the stake's first disposal before the next
    financing; and of the company: status and ended_on as known on the as-of date, last_round_on, unplaced_on,
    known_until and sector."""
    steps = _steps(history)
    return steps.join(_disposals(history, steps), on=["company_id", "place"], how="left").join(
        _endings(history), on="company_id", how="left"
    )


def _steps(history: History) -> pl.DataFrame:
    codes = {stage.value: code for code, stage in enumerate(STAGES)}
    return (
        history.rounds.select(
            "company_id", "date", pl.col("stage").replace_strict(codes, return_dtype=pl.Int64).alias("stage_code")
        )
        .unique()
        .sort("company_id", "date", "stage_code")
        .with_columns(
            pl.col("stage_code").shift(-1).over("company_id").alias("next_stage"),
            pl.col("date").shift(-1).over("company_id").alias("next_date"),
            pl.int_range(pl.len()).over("company_id").alias("place"),
        )
    )


def _disposals(history: History, steps: pl.DataFrame) -> pl.DataFrame:
    """Disposals up to the as-of date, each at the financing the company was in on that day."""
    placed = steps.select("company_id", "date", "place")
    return (
        history.rounds.filter(pl.col("disposal_date") <= history.as_of)
        .select("company_id", "disposal_date", pl.col("disposal_proceeds_usd").fill_null(0.0).alias("proceeds"))
        .sort("company_id", "disposal_date", "proceeds")
        .join(placed, on="company_id")
        .filter(pl.col("date") <= pl.col("disposal_date"))
        .group_by("company_id", "disposal_date", "proceeds")
        .agg(pl.col("place").max())
        .group_by("company_id", "place")
        .agg(pl.col("disposal_date").min().alias("disposed_on"), (pl.col("proceeds") > 0).any().alias("sold"))
    )


def _endings(history: History) -> pl.DataFrame:
    """Each company's end as known on the as-of date."""
    later = pl.col("status_date") > history.as_of
    return history.companies.select(
        "company_id",
        "sector",
        "last_round_on",
        "unplaced_on",
        "known_until",
        pl.when(later.fill_null(value=False)).then(pl.lit("operating")).otherwise("status").alias("status"),
        pl.when(later.not_()).then("status_date").alias("ended_on"),
    )
