"""A fund's calibration as a flow: what `vcfolio calibrate` does, scheduled or started from Prefect's form."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from core.calibration.snapshot import CalibrationMethod
from core.calibration.survival import SurvivalTerms
from core.errors import BadInput, VcfolioError
from db.calibrate import CalibrationOrder, HistoryFiles
from db.reference_calibrations import DEFAULT_REFERENCE
from tasks.calibrate import calibrate_fund, publish_report


@flow(name="calibrate", flow_run_name="calibration {version} of {fund}", persist_result=False)
def calibrate(
    *,
    fund: str,
    version: str,
    as_of: date | None = None,
    companies: str | None = None,
    rounds: str | None = None,
    mapping: str | None = None,
    method: CalibrationMethod = "survival",
    benchmark: str = DEFAULT_REFERENCE,
    dormant_after_months: float | None = 48.0,
    round_months: float = 18.0,
    horizon_months: float = 72.0,
    prior_weight: float = 20.0,
    compare: bool = True,
) -> State[Any]:
    """Make a calibration snapshot and a report on the data it rests on.

    fund: name or id. as_of: the day the history was taken. companies, rounds, mapping: files, as the worker sees them;
    none of them: the fund's own rows. benchmark: version of the reference calibration. A fault of the input fails the
    run with its fields, values and rules.
    """
    try:
        order = CalibrationOrder(
            fund=fund,
            version=version,
            as_of=as_of,
            files=_files(companies, rounds, mapping),
            method=method,
            terms=SurvivalTerms(dormant_after_months, round_months, horizon_months, prior_weight),
            reference=benchmark,
            compare=compare and method != "industry_benchmark",
        )
        outcome = calibrate_fund(order)
    except VcfolioError as error:
        if error.retryable:
            raise
        return Failed(message=f"{error.code}: {error}", data=error)
    publish_report(outcome, compare=order.compare)
    state = "stored" if outcome.is_new else "was stored already"
    return Completed(message=f"calibration {outcome.snapshot.version} of {outcome.fund.name} {state}")


def _files(companies: str | None, rounds: str | None, mapping: str | None) -> HistoryFiles | None:
    if companies and rounds and mapping:
        return HistoryFiles(Path(companies), Path(rounds), Path(mapping))
    given = [path for path in (companies, rounds, mapping) if path]
    if given:
        rule = "must be given all three, or none of them for the fund's own rows"
        raise BadInput.of("companies, rounds, mapping", given, rule)
    return None
