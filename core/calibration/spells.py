"""How long each company was at each stage, and what ended it: what survival analysis counts.

A spell begins with a company's first financing at a stage. It ends, whichever is known:

- the investor's stake was disposed of before the next stage: an exit with proceeds, a failure without;
- a financing at a later stage: a graduation, even if it skips a stage;
- a later round whose stage nobody knows, and none after it whose stage is known: the spell is censored there;
- the company exited or failed: that, on its day. Without a day it lies between the company's last round and the day up
  to which it was followed;
- the company operates, and its last round of any type is `dormant_after_months` ago: a failure, on the day that this
  became true;
- else the spell still lasts: it is censored on the day up to which the company was followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl

from core.arrays import BoolArray, FloatArray, IntArray
from core.calibration.financings import DAYS_PER_MONTH, financings
from core.calibration.history import History
from core.calibration.placement import STAGES
from core.stages import Stage

Cause = Literal["graduate", "exit", "failure"]
CAUSES: tuple[Cause, ...] = get_args(Cause)
"""Cause j of the incidence is CAUSES[j - 1]; 0 is censoring."""

UndatedAt = Literal["earliest", "midpoint", "latest"]
"""Where, in the time it must lie in, an end without a date is put."""


@dataclass(frozen=True, slots=True)
class StageSpells:
    """The spells of one stage, one a company, in order of company ids. All arrays: (n_spells,).

    earliest, latest: months from the spell's first day to its end, equal where the end is dated. causes: 0 censored,
    else as `CAUSES`. dormant: failures because nothing was heard. skipped: graduations that left out a stage.
    cut_short: censored at a round of unknown stage. sectors: each company's.
    """

    stage: Stage
    earliest: FloatArray
    latest: FloatArray
    causes: IntArray
    dormant: BoolArray
    skipped: BoolArray
    cut_short: BoolArray
    sectors: tuple[str, ...]

    @property
    def undated(self) -> BoolArray:
        return self.earliest < self.latest

    def months(self, undated_at: UndatedAt) -> FloatArray:
        """Length of each spell. Shape (n_spells,)."""
        share = {"earliest": 0.0, "midpoint": 0.5, "latest": 1.0}[undated_at]
        return self.earliest + share * (self.latest - self.earliest)

    def of_sector(self, sector: str) -> BoolArray:
        return np.array([own == sector for own in self.sectors], dtype=np.bool_)

    def count(self, cause: Cause | Literal["censored"]) -> int:
        code = 0 if cause == "censored" else CAUSES.index(cause) + 1
        return int((self.causes == code).sum())


def stage_spells(history: History, dormant_after_months: float | None) -> dict[Stage, StageSpells]:
    """By stage, for the stages that occur, in their order. dormant_after_months: None where silence is no failure."""
    table = _spells(history, dormant_after_months)
    found = {}
    for code, stage in enumerate(STAGES):
        at = table.filter(pl.col("stage_code") == code)
        if not at.is_empty():
            found[stage] = _as_arrays(stage, at)
    return found


def silences_broken(history: History, dormant_after_months: float) -> int:
    """How many times a company raised again after a silence as long as that which counts as failure."""
    gap = (pl.col("next_date") - pl.col("date")).dt.total_days() / DAYS_PER_MONTH
    return financings(history).filter(gap >= dormant_after_months).height


def _as_arrays(stage: Stage, at: pl.DataFrame) -> StageSpells:
    cause = at["cause"].replace_strict({name: code for code, name in enumerate(CAUSES, 1)}, default=0)
    return StageSpells(
        stage=stage,
        earliest=at["earliest"].to_numpy().astype(np.float64),
        latest=at["latest"].to_numpy().astype(np.float64),
        causes=cause.to_numpy().astype(np.int64),
        dormant=(at["ended_by"] == "dormant").to_numpy(),
        skipped=((at["ended_by"] == "raised") & (at["next_stage"] > at["stage_code"] + 1)).fill_null(False).to_numpy(),
        cut_short=(at["ended_by"] == "unplaced").to_numpy(),
        sectors=tuple(at["sector"].to_list()),
    )


def _spells(history: History, dormant_after_months: float | None) -> pl.DataFrame:
    """One row a company and stage: what ended the spell, and the earliest and latest month in which it can have."""
    own = ("sector", "status", "ended_on", "last_round_on", "unplaced_on", "known_until")
    spells = (
        financings(history)
        .sort("company_id", "place")
        .group_by("company_id", "stage_code", maintain_order=True)
        .agg(
            pl.col("date").min().alias("start"),
            pl.col("date").max().alias("last"),
            pl.col("next_stage").last(),
            pl.col("next_date").last(),
            pl.col("disposed_on").drop_nulls().first(),
            pl.col("sold").drop_nulls().first(),
            *(pl.col(name).first() for name in own),
        )
        .with_columns(pl.max_horizontal("last", "last_round_on").alias("last_heard"))
    )
    spells = spells.with_columns(_ended_by(dormant_after_months).alias("ended_by"))
    return spells.with_columns(_cause().alias("cause"), *_days(dormant_after_months)).with_columns(
        (pl.col("latest") / DAYS_PER_MONTH), (pl.col("earliest") / DAYS_PER_MONTH)
    )


def _ended_by(dormant_after_months: float | None) -> pl.Expr:
    silent_days = (pl.col("known_until") - pl.col("last_heard")).dt.total_days()
    no_limit = pl.lit(value=False)
    dormant = no_limit if dormant_after_months is None else silent_days >= dormant_after_months * DAYS_PER_MONTH
    return (
        pl.when(pl.col("disposed_on").is_not_null())
        .then(pl.lit("disposed"))
        .when(pl.col("next_date").is_not_null())
        .then(pl.lit("raised"))
        .when(pl.col("unplaced_on").is_not_null())
        .then(pl.lit("unplaced"))
        .when(pl.col("status") != "operating")
        .then(pl.when(pl.col("ended_on").is_not_null()).then(pl.lit("ended")).otherwise(pl.lit("ended undated")))
        .when(dormant)
        .then(pl.lit("dormant"))
        .otherwise(pl.lit("lasting"))
    )


def _cause() -> pl.Expr:
    by = pl.col("ended_by")
    exited = pl.when(by == "disposed").then(pl.col("sold")).otherwise(pl.col("status") == "exited")
    return (
        pl.when(by == "raised")
        .then(pl.lit("graduate"))
        .when(by.is_in(["unplaced", "lasting"]))
        .then(pl.lit("censored"))
        .when((by == "dormant") | ~exited)
        .then(pl.lit("failure"))
        .otherwise(pl.lit("exit"))
    )


def _days(dormant_after_months: float | None) -> tuple[pl.Expr, pl.Expr]:
    """Earliest and latest day of the end, counted from the start."""
    by, start = pl.col("ended_by"), pl.col("start")

    def since(day: str) -> pl.Expr:
        return (pl.col(day) - start).dt.total_days().cast(pl.Float64)

    dormant_days = 0.0 if dormant_after_months is None else dormant_after_months * DAYS_PER_MONTH
    known = (
        pl.when(by == "disposed")
        .then(since("disposed_on"))
        .when(by == "raised")
        .then(since("next_date"))
        .when(by == "unplaced")
        .then(since("unplaced_on"))
        .when(by == "ended")
        .then(since("ended_on"))
        .when(by == "dormant")
        .then(since("last_heard") + dormant_days)
        .otherwise(since("known_until"))
    )
    undated = by == "ended undated"
    return (
        pl.when(undated).then(since("last_heard")).otherwise(known).alias("earliest"),
        known.alias("latest"),
    )
