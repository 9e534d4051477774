"""A simple cohort's snapshot, completed from a reference calibration with what a funding history does not tell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl

from core.calibration.history import History, HistorySource
from core.calibration.simple_cohort import StageCounts
from core.calibration.snapshot import CalibrationSnapshot, SectorMultipliers
from core.errors import BadInput, FieldProblem
from core.stages import Stage

BIAS = (
    "simple_cohort counts a company that still operates and raised no further round as failed, however short the "
    "time since: failure rates are too high, exit and graduation rates too low"
)
MULTIPLIERS_LEFT = "simple_cohort does not estimate sector multipliers: every sector has 1"


def cohort_snapshot(
    history: History,
    counts: dict[Stage, StageCounts],
    source: HistorySource,
    version: str,
    reference: CalibrationSnapshot,
) -> CalibrationSnapshot:
    """Rates, sectors and sample sizes from the history; exit outcomes, deal terms and cap table from `reference`.

    A stage without a single observation is in no part of the snapshot.
    Raises BadInput when no stage has any, or the reference lacks one that has.
    """
    stages = [stage for stage, found in counts.items() if found.observed > 0]
    if not stages:
        raise BadInput.of("history", f"as of {history.as_of}", "no stage has a financing whose outcome is known")
    _require_in_reference(stages, reference)
    sectors = sampled_sectors(history)
    return CalibrationSnapshot(
        version=version,
        method="simple_cohort",
        transition_stats={stage: counts[stage].rates() for stage in stages},
        exit_outcomes={stage: reference.exit_outcomes[stage] for stage in stages},
        deal_terms={stage: reference.deal_terms[stage] for stage in stages},
        cap_table=reference.cap_table,
        sector_multipliers=dict.fromkeys(sectors, SectorMultipliers(risk=1, returns=1)),
        sectors=sectors,
        sample_sizes={stage: counts[stage].companies for stage in stages},
        sample_size=sum(sectors.values()),
        data_window=f"{history.rounds['date'].min()!s} to {history.as_of}",
        benchmark_version=reference.version,
        fitted_for=reference.exit_outcomes_fitted_for,
        provenance=_provenance(history, counts, source, reference.version),
    )


def _require_in_reference(stages: list[Stage], reference: CalibrationSnapshot) -> None:
    problems = [
        FieldProblem("reference", reference.version, f"has no {part} for stage {stage}, which the history holds")
        for part, known in (("exit outcomes", reference.exit_outcomes), ("deal terms", reference.deal_terms))
        for stage in stages
        if stage not in known
    ]
    if problems:
        raise BadInput(problems)


def sampled_sectors(history: History) -> dict[str, int]:
    """Companies with a round at a stage, by sector in sorted order."""
    sampled = history.companies.join(history.rounds, on="company_id", how="semi")
    return dict(sampled.group_by("sector").len().sort("sector").iter_rows())


def history_provenance(history: History, source: HistorySource) -> dict[str, Any]:
    """Where the rows come from, and how many were used or set aside for which reason."""
    return {
        "mapping": asdict(source),
        "as_of": history.as_of.isoformat(),
        "rows": {"companies": asdict(history.company_rows), "rounds": asdict(history.round_rows)},
        "rounds_placed_by_order": history.rounds.filter(pl.col("stage_inferred")).height,
    }


def _provenance(
    history: History, counts: dict[Stage, StageCounts], source: HistorySource, reference: str
) -> dict[str, Any]:
    return {
        **history_provenance(history, source),
        "transition_stats": {stage.value: asdict(found) for stage, found in counts.items()},
        "bias": BIAS,
        "exit_outcomes": f"benchmark {reference}",
        "deal_terms": f"benchmark {reference}",
        "cap_table": f"benchmark {reference}",
        "sector_multipliers": MULTIPLIERS_LEFT,
    }
