"""Where a round of unknown series belongs, when the order of the company's other rounds leaves one place only."""

from __future__ import annotations

import polars as pl

from core.stages import Stage

_ORDER = ("company_id", "date", "stage_code")

STAGES = tuple(Stage)
"""A stage's code is its position here."""

BELOW_STAGE = "stage below one the company had already reached"
SAME_DAY = "series unknown, on the day of another round"
AMBIGUOUS = "series unknown, and the order of rounds leaves several stages possible"


def place_rounds(rounds: pl.DataFrame) -> pl.DataFrame:
    """Put every round at a stage, or say why it cannot be.

    rounds: company_id, date (no nulls), stage_code (Int64, position in `STAGES`; null when the series is unknown).
    Returns the rows in order of company, date and stage, with stage_code filled where it can be, and the columns
    `stage_inferred` and `reason` (null when the round is at a stage).

    A company never goes back a stage: a round below one it had reached is refused. Unknown rounds are placed when
    exactly one non-decreasing sequence of stages is left that skips no stage between two known rounds: before a Seed
    or after a C round, between two rounds of one stage, or when they are as many as the stages missing between them.
    An unknown round on the day of another has no place in the order.
    """
    rounds = rounds.sort(*_ORDER, nulls_last=True)
    code = pl.col("stage_code")
    below = code.is_not_null() & (code < code.cum_max().over("company_id"))
    same_day = code.is_null() & ((~below).sum().over("company_id", "date") > 1)
    judged = rounds.with_columns(
        pl.when(below).then(pl.lit(BELOW_STAGE)).when(same_day).then(pl.lit(SAME_DAY)).alias("reason"),
        stage_inferred=pl.lit(value=False),
    )
    refused, ordered = judged.filter(pl.col("reason").is_not_null()), judged.filter(pl.col("reason").is_null())
    return pl.concat([refused, _fill_between(ordered)]).sort(*_ORDER, nulls_last=True)


def _fill_between(ordered: pl.DataFrame) -> pl.DataFrame:
    """ordered: non-decreasing known stages by company and date, unknown rounds each on a day of its own."""
    code = pl.col("stage_code")
    unknown = code.is_null()
    gap = ["company_id", "gap"]
    ordered = ordered.with_columns(
        code.forward_fill().over("company_id").alias("before"),
        code.backward_fill().over("company_id").alias("after"),
        code.is_not_null().cum_sum().over("company_id").alias("gap"),
    )
    before, after = pl.col("before"), pl.col("after")
    missing = after - before - 1
    forced = (
        pl.when(before == after)
        .then(before)
        .when(before.is_null() & (after == 0))
        .then(after)
        .when(after.is_null() & (before == len(STAGES) - 1))
        .then(before)
        .when(missing == unknown.sum().cast(pl.Int64).over(gap))
        .then(before + unknown.cum_sum().cast(pl.Int64).over(gap))
    )
    return (
        ordered.with_columns(code.fill_null(forced), stage_inferred=unknown & forced.is_not_null())
        .with_columns(pl.when(code.is_null()).then(pl.lit(AMBIGUOUS)).alias("reason"))
        .drop("before", "after", "gap")
    )
