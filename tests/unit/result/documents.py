"""Results to judge: those that version 0.1 stored, and small ones whose figures a test chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from core import pipeline
from core.matrix.key import simulation_inputs
from core.portfolio.problem import ConstraintType
from core.request import parse_request
from core.result.model import (
    Constraint,
    Estimate,
    Holding,
    LimitedEstimate,
    OutOfSample,
    Validation,
    Verdict,
    WholeDeals,
)
from core.result.verdict import verdict_of
from core.session_states import SessionStatus
from core.solver.program import SolveControl
from db.reference_calibrations import reference_calibration
from db.session_rows import SessionRow

GOLDEN = Path(__file__).parents[2] / "golden" / "sessions_v1"
STORED = ("fund", "limits_in_conflict")
SESSION = UUID("00000000-0000-4000-8000-00000000a001")
BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@cache
def golden(name: str) -> dict[str, Any]:
    """What version 0.1 stored of a session, or said about it; see tests/golden/README.md."""
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found


def stored_session(name: str) -> SessionRow:
    """The session as the database has it."""
    found = golden(name)
    return SessionRow(
        session_id=SESSION,
        fund_id=UUID(found["normalizedConfig"]["fund_id"]),
        created_by=UUID(int=1),
        driver="inline",
        client_key=None,
        request_hash="",
        request=found["request"],
        normalized_config=found["normalizedConfig"],
        matrix_key=found["matrixKey"],
        matrix_key_json=found["matrixKeyJson"],
        status=SessionStatus.COMPLETED,
        error_code=None,
        error_reason=None,
        epoch=0,
        lease_token=None,
        lease_expires_at=None,
        lease_owner=None,
        unclassified_failures=0,
        flow_run_id=None,
        progress=None,
        matrix_generation=1,
        matrix_origin="generated",
        allocation=found["allocation"],
        solver_metadata=found["solverMetadata"],
        pass1_e_star=found["pass1EStar"],
        primary_lock_epsilon=found["primaryLockEpsilon"],
        validation_metrics=found["validationMetrics"],
        created_at=BEGAN,
        matrix_started_at=BEGAN,
        matrix_completed_at=BEGAN + timedelta(seconds=1),
        optimization_started_at=BEGAN + timedelta(seconds=1),
        optimization_completed_at=BEGAN + timedelta(seconds=2),
        validation_started_at=BEGAN + timedelta(seconds=2),
        completed_at=BEGAN + timedelta(seconds=3),
        rescues=0,
    )


def optimized_session(changes: dict[str, Any]) -> SessionRow:
    """The example request with changes, carried out in this process, as a session stores it today."""
    request = golden("fund")["request"] | changes
    prepared = pipeline.prepare(parse_request(request), reference_calibration(request["calibrationVersion"]))
    matrix = pipeline.simulate(prepared.key_document)
    inputs, control = simulation_inputs(prepared.key_document), SolveControl(work_limit=prepared.config.work_limit)
    optimized = pipeline.optimize(prepared.config, matrix, control, inputs=inputs)
    validation = pipeline.validate(
        prepared.config,
        matrix,
        inputs,
        allocation=optimized.allocation,
        optimization=optimized.optimization,
    )
    return replace(
        stored_session("fund"),
        request=request,
        normalized_config=prepared.config.model_dump(mode="json"),
        matrix_key=prepared.matrix_key,
        matrix_key_json=dict(prepared.key_document),
        allocation=[one.as_json() for one in optimized.allocation],
        solver_metadata=optimized.optimization.as_json(),
        validation_metrics=validation.as_json(),
        pass1_e_star=optimized.pass1_e_star,
    )


def holding(
    bucket_id: str, weight: float, deals: int, *, fund: float = 100_000_000, cost: float = 1_000_000
) -> Holding:
    """bucket_id: STAGE_SECTOR. cost: of a deal, half of it reserves."""
    stage, _, sector = bucket_id.partition("_")
    return Holding(
        bucket_id=bucket_id,
        stage=stage,
        sector=sector,
        weight=weight,
        dollar_amount=round(weight * fund, 2),
        deal_count=deals,
        avg_check_size=500_000,
        reserve_ratio=1.0,
        all_in_cost_per_deal=1_000_000,
    )


ALLOCATION = (holding("Seed_AI", 0.6, 60), holding("A_AI", 0.25, 25), holding("A_Bio", 0.15, 15))


def limit(constraint_id: str, asked: float, enforced: float | None = None) -> Constraint:
    kind: ConstraintType = constraint_id.partition(":")[0]  # type: ignore[assignment]
    return Constraint(
        constraint_id=constraint_id,
        type=kind,
        required=asked if enforced is None else enforced,
        actual=0.0,
        slack=0.0,
        satisfied=True,
        binding=False,
        relaxed_from=None if enforced is None else asked,
    )


def estimated(low: float, value: float, high: float) -> LimitedEstimate:
    return LimitedEstimate(value=value, low=low, high=high)


def out_of_sample(**figures: LimitedEstimate) -> OutOfSample:
    """loss_probability, cvar and expected_winners; what is not given is far from any limit."""
    harmless = {
        "loss_probability": estimated(0.0, 0.0, 0.0),
        "cvar": estimated(0.0, 0.0, 0.0),
        "expected_winners": estimated(1e9, 1e9, 1e9),
    }
    moic = Estimate(value=2.0, low=1.9, high=2.1)
    return OutOfSample(scenarios=5000, expected_moic=moic, optimism_gap=0.0, **(harmless | figures))


def judge(
    constraints: Sequence[Constraint],
    *,
    weights: OutOfSample | None = None,
    whole_deals: OutOfSample | None = None,
    allocation: Sequence[Holding] = ALLOCATION,
) -> Verdict:
    """The verdict on figures of one's own choice."""
    template = Validation.model_validate(golden("fund")["validationMetrics"])
    deals: WholeDeals = template.whole_deals.model_copy(update={"out_of_sample": whole_deals or out_of_sample()})
    validation = template.model_copy(
        update={"out_of_sample": weights or out_of_sample(), "whole_deals": deals, "comparison_portfolios": ()}
    )
    return verdict_of(constraints, 0.95, allocation, validation)
