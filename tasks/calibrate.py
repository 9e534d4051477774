"""Calibrate a fund, and leave a report that Prefect shows."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from core.charts.calibration_report import calibration_report
from core.markdown import escaped
from db.calibrate import CalibrationOrder, CalibrationOutcome, calibrate
from db.engine import transaction
from tasks import runtime
from tasks.retries import TASK_RETRY

ARTIFACT_KEY = "calibration-data-quality"


@task(
    name="calibrate",
    cache_policy=NO_CACHE,
    persist_result=False,
    **TASK_RETRY,
)
def calibrate_fund(order: CalibrationOrder) -> CalibrationOutcome:
    """Safe to repeat: the very same snapshot is stored once. Raises BadInput, NotFound, Conflict."""
    return calibrate(lambda: transaction(runtime.engine()), order)


@task(name="report", cache_policy=NO_CACHE, persist_result=False)
def publish_report(outcome: CalibrationOutcome, *, compare: bool) -> None:
    """Rows in, used, set aside by reason; estimates with intervals; the chart of cumulative incidence."""
    if outcome.calibration is None:
        source = outcome.snapshot.benchmark_version
        report = (
            f"# Calibration {escaped(outcome.snapshot.version)}\n\n"
            f"The figures of reference calibration {escaped(source or '')}; no history was read.\n"
        )
    else:
        report = calibration_report(outcome.calibration, compare=compare)
    description = f"Calibration {escaped(outcome.snapshot.version)} of {escaped(outcome.fund.name)}"
    create_markdown_artifact(report, key=ARTIFACT_KEY, description=description)
