"""Every limit again from what is stored, the greedy rival, and fresh scenarios."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from core.errors import InvalidAllocation
from core.matrix.key import simulation_inputs
from core.portfolio.documents import deals_from, limits_from, weights_from
from core.request.normalized_config import NormalizedConfig
from core.risk.validate import validate
from db.engine import transaction
from db.matrices import MatrixReference
from db.sessions import Fence, load_session
from tasks import runtime
from tasks.heartbeat import heartbeat_of
from tasks.retries import TASK_RETRY


@task(
    name="validate",
    task_run_name="validate",
    cache_policy=NO_CACHE,
    persist_result=False,
    **TASK_RETRY,
)
def validate_portfolio(fence: Fence, reference: MatrixReference) -> dict[str, Any]:
    """The validation metrics, JSON-ready. Raises InvalidAllocation when the stored allocation breaks its limits."""
    heartbeat = heartbeat_of(fence)
    with transaction(runtime.engine()) as conn:
        session = load_session(conn, fence.session_id)
    assert session.allocation is not None
    assert session.solver_metadata is not None
    config = NormalizedConfig.model_validate(session.normalized_config)
    metrics = validate(
        config,
        limits_from(session.solver_metadata),
        heartbeat.matrix.load(reference),
        simulation_inputs(session.matrix_key_json),
        weights=weights_from(session.allocation, config),
        deals=deals_from(session.allocation, config),
        progress=lambda step: heartbeat.report({"stage": "validate", "step": step}),
        cancelled=heartbeat.lost.is_set,
    )
    if not metrics.in_sample.feasible:
        raise InvalidAllocation("the stored allocation breaks the limits it was stored with")
    return metrics.as_json()
