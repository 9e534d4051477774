"""The report on a calibration: data quality, estimates, chart, remarks; as Markdown."""

from __future__ import annotations

from core.calibration.calibration import Calibration
from core.calibration.cohort_snapshot import BIAS, MULTIPLIERS_LEFT
from core.calibration.tables import Table, calibration_tables
from core.charts.canvas import markdown_image
from core.charts.incidence import incidence_chart
from core.markdown import escaped
from core.stages import Stage


def calibration_report(calibration: Calibration, *, compare: bool) -> str:
    """Markdown with the chart inside it, as an image that needs no other file."""
    snapshot, estimates = calibration.snapshot, calibration.estimates
    parts = [
        f"# Calibration {escaped(snapshot.version)}",
        f"Method `{snapshot.method}`, {snapshot.sample_size:,} companies, {escaped(snapshot.data_window)}.",
        *(_markdown(table) for table in calibration_tables(calibration, compare=compare)),
    ]
    if estimates is not None and estimates.stages:
        chart = incidence_chart(
            {stage: estimate.incidence for stage, estimate in estimates.stages.items()}, estimates.terms.horizon_months
        )
        parts += ["## Outcomes of companies", markdown_image("Cumulative incidence by stage", chart)]
    parts += ["## Remarks", "\n".join(f"- {escaped(remark)}" for remark in remarks(calibration))]
    return "\n\n".join(parts) + "\n"


def remarks(calibration: Calibration) -> list[str]:
    """What a reader must know to take the figures for what they are."""
    by_method = _survival_remarks if calibration.snapshot.method == "survival" else _cohort_remarks
    history, snapshot = calibration.history, calibration.snapshot
    missing = [stage for stage in Stage if stage not in snapshot.transition_stats]
    placed = snapshot.provenance["rounds_placed_by_order"]
    unseen = history.companies.height - snapshot.sample_size
    found = [
        *by_method(calibration),
        f"{placed:,} rounds of unknown series were placed by their order.",
        f"{unseen:,} companies have no round at a known stage: they do not enter the rates.",
        f"Deal terms and cap table are those of reference calibration {snapshot.benchmark_version}.",
    ]
    if missing:
        found.append(f"Nothing is known of stage {', '.join(missing)}: left out of the snapshot.")
    return found


def _cohort_remarks(calibration: Calibration) -> list[str]:
    skipped = sum(counts.skipped for counts in calibration.counts.values())
    return [
        f"{BIAS}. They are the silent of the table, and count as failures in the rates.",
        "A financing followed only by rounds that could not be placed is left out.",
        f"{skipped:,} graduations skip a stage.",
        "Where an undated end is put changes the months above, and no rate.",
        f"Exit outcomes are those of reference calibration {calibration.snapshot.benchmark_version}.",
        f"{MULTIPLIERS_LEFT}.",
    ]


def _survival_remarks(calibration: Calibration) -> list[str]:
    estimates = calibration.estimates
    assert estimates is not None
    terms, spells = estimates.terms, [estimate.spells for estimate in estimates.stages.values()]
    exits = sum(estimate.exits_with_multiple for estimate in estimates.stages.values())
    found = [
        f"{sum(int(own.cut_short.sum()) for own in spells):,} spells are censored at a round of unknown stage.",
        f"{sum(int(own.skipped.sum()) for own in spells):,} graduations skip a stage.",
        (
            f"Exit outcomes rest on {exits:,} stakes sold with proceeds, and on reference calibration "
            f"{calibration.snapshot.benchmark_version}, which counts for {terms.prior_weight:g} exits a stage."
        ),
    ]
    if terms.dormant_after_months is None:
        return ["Silence never counts as failure: a company that quietly closed looks alive.", *found]
    dormant = sum(int(own.dormant.sum()) for own in spells)
    silence = (
        f"{dormant:,} companies count as failed because they were silent for {terms.dormant_after_months:g} months; "
        f"{estimates.silences_broken:,} times a company raised again after a silence as long."
    )
    return [silence, *found]


def _markdown(table: Table) -> str:
    aligned = ["---"] * table.labels + ["---:"] * (len(table.head) - table.labels)
    lines = [table.head, tuple(aligned), *table.rows]
    rows = "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines)
    return f"## {escaped(table.title)}\n\n{rows}"
