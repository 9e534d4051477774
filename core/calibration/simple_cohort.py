"""Rates by counting what followed each financing: the simple cohort method.

A financing is all rounds of one company at one stage on one day. What comes next decides, by the order of dates:

- the investor's stake was disposed of before the next financing: an exit with proceeds, a failure without;
- the next financing is at a later stage: a graduation, even if it skips a stage;
- it is at the same stage (an extension, or a round after the first C): a stay;
- there is none, and the company exited or failed: an exit or a failure;
- there is none, but a later round of unknown stage: nothing is known, and the financing is left out;
- there is none, and the company still operates: a failure. This is the method's bias: a company that raised last
  month, or lives on its revenue, counts as failed. The silent are counted apart, so that one sees how many they are.

A rate is the count divided by the financings that are not left out; what is left to 1 is the chance to stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.calibration.financings import DAYS_PER_MONTH, financings
from core.calibration.history import History
from core.calibration.placement import STAGES
from core.calibration.snapshot import StageTransitions
from core.stages import Stage

_OUTCOMES = ("exit", "graduate", "stay", "failure", "silent", "left_out")


@dataclass(frozen=True, slots=True)
class StageCounts:
    """What followed the financings of one stage. `failed` and `silent` together are the failures of the method.

    companies: how many companies raised at this stage (company-stages); skipped: graduations that left out a stage.
    """

    companies: int
    financings: int
    exited: int
    graduated: int
    skipped: int
    stayed: int
    failed: int
    silent: int
    left_out: int

    @property
    def observed(self) -> int:
        """The denominator of every rate."""
        return self.financings - self.left_out

    def rates(self) -> StageTransitions:
        """Needs at least one observation."""
        return StageTransitions(
            exit_rate=self.exited / self.observed,
            graduate_rate=self.graduated / self.observed,
            failure_rate=(self.failed + self.silent) / self.observed,
        )


@dataclass(frozen=True, slots=True)
class EventTiming:
    """Mean months from the last financing to an exit or a failure, of one stage.

    An event without a date lies between the company's last round and the as-of date. `months_mid` takes the middle,
    the other two show what either end would make of it.
    """

    stage: Stage
    event: str
    dated: int
    undated: int
    months_start: float
    months_mid: float
    months_end: float


def count_transitions(history: History) -> dict[Stage, StageCounts]:
    """Counts by stage, for the stages that occur, in their order."""
    observed = _observe(history)
    counts = {}
    for code, stage in enumerate(STAGES):
        at = observed.filter(pl.col("stage_code") == code)
        if at.is_empty():
            continue
        of = {outcome: at.filter(pl.col("outcome") == outcome).height for outcome in _OUTCOMES}
        skipped = (pl.col("outcome") == "graduate") & (pl.col("next_stage") > code + 1)
        counts[stage] = StageCounts(
            companies=at["company_id"].n_unique(),
            financings=at.height,
            exited=of["exit"],
            graduated=of["graduate"],
            skipped=at.filter(skipped).height,
            stayed=of["stay"],
            failed=of["failure"],
            silent=of["silent"],
            left_out=of["left_out"],
        )
    return counts


def time_events(history: History) -> list[EventTiming]:
    """How long exits and failures took, by stage; stages without any are left out."""
    as_of = pl.lit(history.as_of)
    dated = pl.coalesce("disposed_on", "ended_on")
    earliest = pl.max_horizontal("date", "last_round_on")
    events = (
        _observe(history)
        .filter(pl.col("outcome").is_in(["exit", "failure"]))
        .with_columns(dated.is_not_null().alias("dated"), _months(dated.fill_null(earliest)).alias("start"))
        .with_columns(pl.when("dated").then("start").otherwise(_months(as_of)).alias("end"))
        .group_by("stage_code", "outcome")
        .agg(
            pl.col("dated").sum(),
            pl.len().alias("events"),
            pl.col("start").sort().mean(),
            pl.col("end").sort().mean(),
        )
        .sort("stage_code", "outcome")
    )
    return [
        EventTiming(STAGES[code], outcome, known, events - known, start, (start + end) / 2, end)
        for code, outcome, known, events, start, end in events.iter_rows()
    ]


def _observe(history: History) -> pl.DataFrame:
    """One row a financing, with its outcome."""
    return financings(history).with_columns(_outcome().alias("outcome"))


def _outcome() -> pl.Expr:
    following = pl.col("next_stage")
    return (
        pl.when(pl.col("sold").is_not_null())
        .then(pl.when("sold").then(pl.lit("exit")).otherwise(pl.lit("failure")))
        .when(following > pl.col("stage_code"))
        .then(pl.lit("graduate"))
        .when(following.is_not_null())
        .then(pl.lit("stay"))
        .when(pl.col("unplaced_on").is_not_null())
        .then(pl.lit("left_out"))
        .when(pl.col("status") == "exited")
        .then(pl.lit("exit"))
        .when(pl.col("status") == "failed")
        .then(pl.lit("failure"))
        .otherwise(pl.lit("silent"))
    )


def _months(until: pl.Expr) -> pl.Expr:
    return (until - pl.col("date")).dt.total_days() / DAYS_PER_MONTH
