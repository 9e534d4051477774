"""What there is to say about a calibration, as tables: the terminal and the report show the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.calibration.calibration import Calibration
from core.calibration.history import RowTally
from core.calibration.simple_cohort import EventTiming, StageCounts
from core.calibration.spells import CAUSES
from core.calibration.survival import UNDATED_AT, StageEstimate, SurvivalEstimates
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text. The first `labels` columns are words, the others numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1


def calibration_tables(calibration: Calibration, *, compare: bool) -> list[Table]:
    """compare: both methods side by side, where both were carried out."""
    history, estimates = calibration.history, calibration.estimates
    tables = [rows_table("Companies", history.company_rows), rows_table("Rounds", history.round_rows)]
    by_survival = calibration.snapshot.method == "survival" and estimates is not None
    if by_survival and estimates is not None:
        tables += [_spells(estimates), _rates(estimates), _undated(estimates)]
    else:
        tables += [_followed(calibration.counts), _timings(calibration.timings)]
    if compare and estimates is not None:
        tables.append(_comparison(calibration.counts, estimates))
    tables.append(_sectors(calibration, estimates if by_survival else None))
    return tables


def rows_table(title: str, rows: RowTally) -> Table:
    cells = [("read", f"{rows.read:,}"), ("used", f"{rows.used:,}")]
    cells += [(f"set aside: {reason}", f"{count:,}") for reason, count in rows.set_aside.items()]
    return Table(title, ("", "rows"), tuple(cells))


def _followed(counts: dict[Stage, StageCounts]) -> Table:
    names = ("companies", "financings", "exit", "graduate", "failed", "silent", "stay", "left out")
    return Table("What followed each financing", ("stage", *names), tuple(_cohort_row(s, counts.get(s)) for s in Stage))


def _cohort_row(stage: Stage, counts: StageCounts | None) -> tuple[str, ...]:
    if counts is None:
        return (stage.value, *"-" * 8)
    outcomes = (counts.exited, counts.graduated, counts.failed, counts.silent, counts.stayed)
    shares = (f"{n:,} ({n / counts.observed:.1%})" if counts.observed else f"{n:,}" for n in outcomes)
    return (stage.value, f"{counts.companies:,}", f"{counts.financings:,}", *shares, f"{counts.left_out:,}")


def _timings(timings: Sequence[EventTiming]) -> Table:
    rows = tuple(
        (
            timing.stage.value,
            timing.event,
            f"{timing.dated:,}",
            f"{timing.undated:,}",
            *(f"{mean:.1f}" for mean in (timing.months_start, timing.months_mid, timing.months_end)),
        )
        for timing in timings
    )
    title = "Mean months from the last financing to the end, by where an undated end is put"
    return Table(
        title, ("stage", "end", "dated", "undated", "at the last round", "midpoint", "at the as-of date"), rows, 2
    )


def _spells(estimates: SurvivalEstimates) -> Table:
    head = ("stage", "companies", "graduated", "exited", "failed", "of them dormant", "undated ends", "still under way")
    rows = []
    for stage, estimate in estimates.stages.items():
        spells = estimate.spells
        counts = (
            spells.causes.size,
            *(spells.count(cause) for cause in CAUSES),
            int(spells.dormant.sum()),
            int(spells.undated.sum()),
            spells.count("censored"),
        )
        rows.append((stage.value, *(f"{count:,}" for count in counts)))
    return Table("What ended each company's time at a stage", head, tuple(rows))


def _rates(estimates: SurvivalEstimates) -> Table:
    head = ("stage", "", "graduate", "exit", "failure", "months used", "rounds observed", "history's weight")
    rows: list[tuple[str, ...]] = []
    for stage, estimate in estimates.stages.items():
        rates, found = estimate.rates, estimate.estimate
        used = (rates.graduate_rate, rates.exit_rate, rates.failure_rate)
        if found is not None:
            shown = [_with_interval(*values) for values in zip(found.rates, found.low, found.high, strict=True)]
            if stage.next is None:
                shown[CAUSES.index("graduate")] = "-"
            extent = (f"{found.horizon_months:.0f}", f"{found.company_rounds:,.0f}")
            rows.append((stage.value, "estimate", *shown, *extent, ""))
        rows.append((stage.value, "used", *(f"{rate:.1%}" for rate in used), "", "", f"{estimate.credibility:.1%}"))
    title = f"Chances per round of {estimates.terms.round_months:g} months, 95% intervals"
    return Table(title, head, tuple(rows), 2)


def _with_interval(rate: float, low: float, high: float) -> str:
    return f"{rate:.1%} ({low:.1%} to {high:.1%})"


def _undated(estimates: SurvivalEstimates) -> Table:
    rows = tuple(
        (stage.value, cause, *(f"{estimate.sensitivity[at][position]:.1%}" for at in UNDATED_AT))
        for stage, estimate in estimates.stages.items()
        for position, cause in enumerate(CAUSES)
        if cause != "graduate"
    )
    head = ("stage", "chance", "at the last round", "midpoint (used)", "at the as-of date")
    return Table("Chances per round, by where an end without a date is put", head, rows, 2)


def _comparison(counts: dict[Stage, StageCounts], estimates: SurvivalEstimates) -> Table:
    rows: list[tuple[str, ...]] = []
    for stage, estimate in estimates.stages.items():
        cohort = counts.get(stage)
        if cohort is not None and cohort.observed:
            rates = cohort.rates()
            rows.append(
                _method_row(
                    stage, "simple_cohort", _rates_array(rates.graduate_rate, rates.exit_rate, rates.failure_rate)
                )
            )
        rows.append(_method_row(stage, "survival", _used(estimate)))
    head = (
        "stage",
        "method",
        "graduate",
        "exit",
        "failure",
        "graduate in the end",
        "exit in the end",
        "fail in the end",
    )
    return Table("Both methods side by side: chances per round, and what they lead to", head, tuple(rows), 2)


def _method_row(stage: Stage, method: str, rates: FloatArray) -> tuple[str, ...]:
    total = float(rates.sum())
    in_the_end = rates / total if total > 0 else np.zeros_like(rates)
    return (stage.value, method, *(f"{share:.1%}" for share in (*rates, *in_the_end)))


def _used(estimate: StageEstimate) -> FloatArray:
    return _rates_array(estimate.rates.graduate_rate, estimate.rates.exit_rate, estimate.rates.failure_rate)


def _rates_array(graduate: float, exit_rate: float, failure: float) -> FloatArray:
    return np.array([graduate, exit_rate, failure])


def _sectors(calibration: Calibration, estimates: SurvivalEstimates | None) -> Table:
    sectors = calibration.snapshot.sectors
    if estimates is None:
        rows = tuple((sector, f"{companies:,}") for sector, companies in sectors.items())
        return Table("Sectors", ("sector", "companies"), rows)
    head = ("sector", "companies", "failures", "expected", "times the failure rate", "times the multiples", "weight")
    found = []
    for sector, companies in sectors.items():
        risk, returns = estimates.risk[sector], estimates.returns[sector]
        counts = (f"{companies:,}", f"{risk.observed:,.0f}", f"{risk.expected:,.1f}")
        found.append((sector, *counts, f"{risk.value:.2f}", f"{returns.value:.2f}", f"{risk.credibility:.1%}"))
    return Table("Sectors: failures against those expected at the rates of their stages", head, tuple(found))
