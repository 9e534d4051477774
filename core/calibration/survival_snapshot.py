"""The snapshot that survival analysis gives, with all that one needs to judge it in its provenance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.calibration.cohort_snapshot import history_provenance, sampled_sectors
from core.calibration.history import History, HistorySource
from core.calibration.snapshot import CalibrationSnapshot, SectorMultipliers
from core.calibration.spells import CAUSES
from core.calibration.survival import StageEstimate, SurvivalEstimates, SurvivalTerms
from core.errors import BadInput

BAND_EVERY_MONTHS = 6.0


def survival_snapshot(
    history: History,
    estimates: SurvivalEstimates,
    source: HistorySource,
    version: str,
    reference: CalibrationSnapshot,
) -> CalibrationSnapshot:
    """Rates, outcomes, sectors and their multipliers from the history; deal terms and cap table from `reference`.

    Raises BadInput when no stage has anything to tell.
    """
    stages = estimates.stages
    if not stages:
        rule = "no stage was observed for any time, and priorWeight 0 leaves nothing to start from"
        raise BadInput.of("history", f"as of {history.as_of}", rule)
    sectors = sampled_sectors(history)
    return CalibrationSnapshot(
        version=version,
        method="survival",
        transition_stats={stage: estimate.rates for stage, estimate in stages.items()},
        exit_outcomes={stage: estimate.outcome for stage, estimate in stages.items()},
        deal_terms={stage: reference.deal_terms[stage] for stage in stages},
        cap_table=reference.cap_table,
        sector_multipliers={
            sector: SectorMultipliers(risk=estimates.risk[sector].value, returns=estimates.returns[sector].value)
            for sector in sectors
        },
        sectors=sectors,
        sample_sizes={stage: estimate.spells.causes.size for stage, estimate in stages.items()},
        sample_size=sum(sectors.values()),
        data_window=f"{history.rounds['date'].min()!s} to {history.as_of}",
        benchmark_version=reference.version,
        fitted_for=reference.exit_outcomes_fitted_for,
        reference_regimes=reference.reference_regimes,
        provenance=_provenance(history, estimates, source, reference.version),
    )


def _provenance(
    history: History, estimates: SurvivalEstimates, source: HistorySource, reference: str
) -> dict[str, Any]:
    return {
        **history_provenance(history, source),
        "survival": {**asdict(estimates.terms), "silences_broken": estimates.silences_broken},
        "transition_stats": {
            stage.value: _stage_document(estimate, estimates.terms) for stage, estimate in estimates.stages.items()
        },
        "exit_outcomes": {
            stage.value: {
                "prior": f"benchmark {reference}",
                "exits": estimate.exits_with_multiple,
                "own_share": estimate.outcome_credibility,
            }
            for stage, estimate in estimates.stages.items()
        },
        "sector_rates": {
            stage.value: {sector: rates.model_dump() for sector, rates in estimate.sector_rates.items()}
            for stage, estimate in estimates.stages.items()
        },
        "sector_multipliers": {
            sector: {"risk": asdict(risk), "returns": asdict(estimates.returns[sector])}
            for sector, risk in estimates.risk.items()
        },
        "deal_terms": f"benchmark {reference}",
        "cap_table": f"benchmark {reference}",
    }


def _stage_document(estimate: StageEstimate, terms: SurvivalTerms) -> dict[str, Any]:
    spells = estimate.spells
    return {
        "spells": {
            **{cause: spells.count(cause) for cause in CAUSES},
            "censored": spells.count("censored"),
            "dormant": int(spells.dormant.sum()),
            "undated": int(spells.undated.sum()),
            "skipped": int(spells.skipped.sum()),
            "cut_short": int(spells.cut_short.sum()),
        },
        "own_share": estimate.credibility,
        "estimate": _estimate_document(estimate),
        "undated_at": {at: _by_cause(rates) for at, rates in estimate.sensitivity.items()},
        "incidence": _incidence_document(estimate, terms.horizon_months),
    }


def _estimate_document(estimate: StageEstimate) -> dict[str, Any] | None:
    """Before shrinkage, with 95% intervals."""
    found = estimate.estimate
    if found is None:
        return None
    return {
        "horizon_months": found.horizon_months,
        "company_rounds": found.company_rounds,
        "rates": _by_cause(found.rates),
        "standard_errors": _by_cause(found.standard_errors),
        "low": _by_cause(found.low),
        "high": _by_cause(found.high),
    }


def _incidence_document(estimate: StageEstimate, horizon_months: float) -> dict[str, Any]:
    """The curves with their 95% bands at every half year, which a later reader cannot compute without the history."""
    incidence = estimate.incidence
    months = np.arange(BAND_EVERY_MONTHS, horizon_months + 1e-9, BAND_EVERY_MONTHS)
    steps = np.searchsorted(incidence.times, months, side="right")

    def sampled(curve: FloatArray) -> list[float]:
        found: list[float] = np.concatenate([[0.0], curve])[steps].tolist()
        return found

    return {
        "months": months.tolist(),
        "followed": [incidence.still_followed(month) for month in months],
        **{
            cause: {"share": sampled(curve), "low": sampled(band.low), "high": sampled(band.high)}
            for cause, curve, band in zip(CAUSES, incidence.incidence, incidence.bands(), strict=True)
        },
    }


def _by_cause(values: FloatArray) -> dict[str, float]:
    return dict(zip(CAUSES, values.tolist(), strict=True))
