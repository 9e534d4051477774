"""Every limit again from what is stored, the greedy portfolio, and scenarios out of sample."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from core.errors import InvalidAllocation
from core.matrix.key import simulation_inputs
from core.pipeline import validate
from core.request.normalized_config import NormalizedConfig
from core.result.model import StoredValidation
from db.engine import transaction
from db.matrices import MatrixReference
from db.results import stored_allocation, stored_optimization
from db.session_rows import Fence
from db.sessions import load_session
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
def validate_portfolio(fence: Fence, reference: MatrixReference) -> StoredValidation:
    """Raises InvalidAllocation when the stored allocation breaks its limits."""
    heartbeat = heartbeat_of(fence)
    with transaction(runtime.engine()) as conn:
        session = load_session(conn, fence.session_id)
    validation = validate(
        NormalizedConfig.model_validate(session.normalized_config),
        heartbeat.matrix.load(reference),
        simulation_inputs(session.matrix_key_json),
        allocation=stored_allocation(session),
        optimization=stored_optimization(session),
        step=lambda step: heartbeat.report({"stage": "validate", "step": step}),
        cancelled=heartbeat.lost.is_set,
    )
    if not validation.feasible:
        raise InvalidAllocation("the stored allocation breaks the limits it was stored with")
    return validation
