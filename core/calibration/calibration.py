"""From a history, or from a reference calibration alone, to a snapshot by one of the three methods."""

from __future__ import annotations

from dataclasses import dataclass

from core.calibration.cohort_snapshot import cohort_snapshot
from core.calibration.history import History, HistorySource
from core.calibration.simple_cohort import EventTiming, StageCounts, count_transitions, time_events
from core.calibration.snapshot import CalibrationSnapshot
from core.calibration.survival import SurvivalEstimates, SurvivalTerms, survival_estimates
from core.calibration.survival_snapshot import survival_snapshot
from core.errors import BadInput
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class Calibration:
    """A snapshot and what it was made from. counts and timings: by simple cohort, for whatever method, since they
    describe the history. estimates: by survival analysis; None where they were neither needed nor asked for."""

    snapshot: CalibrationSnapshot
    history: History
    counts: dict[Stage, StageCounts]
    timings: list[EventTiming]
    estimates: SurvivalEstimates | None


def calibrate_by_survival(
    history: History, source: HistorySource, version: str, reference: CalibrationSnapshot, terms: SurvivalTerms
) -> Calibration:
    """Raises BadInput where history or reference do not suffice."""
    estimates = survival_estimates(history, terms, reference)
    snapshot = survival_snapshot(history, estimates, source, version, reference)
    return Calibration(snapshot, history, count_transitions(history), time_events(history), estimates)


def calibrate_by_simple_cohort(
    history: History,
    source: HistorySource,
    version: str,
    reference: CalibrationSnapshot,
    compare_with: SurvivalTerms | None = None,
) -> Calibration:
    """compare_with: estimate by survival analysis as well, which the snapshot takes nothing from.

    Raises BadInput where history or reference do not suffice.
    """
    counts = count_transitions(history)
    snapshot = cohort_snapshot(history, counts, source, version, reference)
    estimates = None if compare_with is None else survival_estimates(history, compare_with, reference)
    return Calibration(snapshot, history, counts, time_events(history), estimates)


def adopt_reference(reference: CalibrationSnapshot, version: str) -> CalibrationSnapshot:
    """The reference's figures, sources included, as a snapshot under another version.

    Raises BadInput for a snapshot that is itself calibrated on a history.
    """
    if reference.method != "industry_benchmark":
        rule = f"must be a reference calibration; this was made by {reference.method}"
        raise BadInput.of("reference", reference.version, rule)
    update = {
        "version": version,
        "benchmark_version": reference.version,
        "fitted_for": reference.exit_outcomes_fitted_for,
    }
    return reference.model_copy(update=update)
