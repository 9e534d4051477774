"""What the stakes that were sold returned, by the stage they were bought at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.arrays import FloatArray
from core.calibration.history import History
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class RealizedMultiples:
    """log_multiples: (n_exits,), of proceeds / amount invested. sectors: (n_exits,), each company's."""

    log_multiples: FloatArray
    sectors: tuple[str, ...]


NO_MULTIPLES = RealizedMultiples(np.array([]), ())


def realized_multiples(history: History, retained_per_graduation: float = 1.0) -> dict[Stage, RealizedMultiples]:
    """By stage, for stages with stakes that were sold up to the as-of date with proceeds and a known amount above 0.

    retained_per_graduation: what is left of a stake, in (0, 1], after each later stage that the company raised at
    before the sale; the multiples are divided by it as often, so that a model which dilutes by as much gives the
    realized ones again. 1 for a model that does not.
    A stake that is sold for nothing is a failure and not among the exits that these are the multiples of.
    """
    assert 0.0 < retained_per_graduation <= 1.0
    sold = (
        history.rounds.filter(
            (pl.col("disposal_date") <= history.as_of)
            & (pl.col("disposal_proceeds_usd") > 0)
            & (pl.col("amount_usd") > 0)
        )
        .join(history.companies.select("company_id", "sector"), on="company_id")
        .with_row_index("stake")
    )
    realized = (pl.col("disposal_proceeds_usd") / pl.col("amount_usd")).log()
    dilution = pl.col("graduations").fill_null(0) * math.log(retained_per_graduation)
    undiluted = sold.join(_graduations(sold, history), on="stake", how="left").with_columns(
        (realized - dilution).alias("log_multiple")
    )
    return _by_stage(undiluted.sort("company_id", "date", "disposal_date", "log_multiple"))


def _graduations(sold: pl.DataFrame, history: History) -> pl.DataFrame:
    """At how many later stages the company had raised when the stake was sold."""
    order = {stage.value: position for position, stage in enumerate(Stage)}
    reached = history.rounds.select("company_id", pl.col("stage").alias("reached"), pl.col("date").alias("raised_on"))
    return (
        sold.select("stake", "company_id", "stage", "disposal_date")
        .join(reached, on="company_id")
        .filter(
            (pl.col("raised_on") <= pl.col("disposal_date"))
            & (pl.col("reached").replace_strict(order) > pl.col("stage").replace_strict(order))
        )
        .group_by("stake")
        .agg(pl.col("reached").n_unique().alias("graduations"))
    )


def _by_stage(sold: pl.DataFrame) -> dict[Stage, RealizedMultiples]:
    found = {}
    for stage in Stage:
        at = sold.filter(pl.col("stage") == stage.value)
        if not at.is_empty():
            found[stage] = RealizedMultiples(
                at["log_multiple"].to_numpy().astype(np.float64), tuple(at["sector"].to_list())
            )
    return found
