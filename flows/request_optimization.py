"""The flow behind the form in Prefect's UI: creates a session, and runs it in its own flow run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect import flow
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from core.errors import BadInput, VcfolioError
from core.request import OptimizationRequest, parse_request
from core.session_states import SessionStatus
from db.audit import PREFECT
from db.engine import transaction
from db.funds import find_fund, local_user_id
from db.requests import submit_request
from db.session_rows import Fence, SessionState
from db.sessions import reopen, take_session
from flows.session_run import run_session, superseded
from tasks import runtime
from tasks.process_owner import lease_owner
from tasks.retries import retry_transient
from tasks.run_names import session_run_name


def _run_name() -> str:
    """The session bears the id of its run. Whatever goes wrong here is told by the flow."""
    session_id = UUID(str(prefect_runtime.flow_run.id))
    request = prefect_runtime.flow_run.parameters.get("request")
    with suppress(VcfolioError, TypeError, KeyError, ValueError), transaction(runtime.engine()) as conn:
        return session_run_name(find_fund(conn, UUID(request["fundId"])).name, session_id)
    return f"session {session_id}"


# Prefect would validate the request in words of its own; what it let through is validated here, in ours.
@flow(name="request-optimization", flow_run_name=_run_name, validate_parameters=False, persist_result=False)
def request_optimization(request: OptimizationRequest) -> State[Any]:
    """Where should the fund's capital go? Fill in the fund and its limits; everything else has a default."""
    run_id = UUID(str(prefect_runtime.flow_run.id))
    try:
        parsed = parse_request(request) if isinstance(request, Mapping) else request
        held = retry_transient(lambda: _lease(run_id, parsed))
    except BadInput as error:
        return Failed(message=str(error), data=error)
    return run_session(held) if isinstance(held, Fence) else held


def _lease(run_id: UUID, request: OptimizationRequest) -> Fence | State[Any]:
    """The lease of this run's session; or the state to end in, where a repeated run finds nothing left to do."""
    settings = runtime.settings()
    with transaction(runtime.engine()) as conn:
        created = submit_request(
            conn,
            request,
            created_by=local_user_id(conn),
            credential=PREFECT,
            driver="inline",
            client_key=f"prefect:{run_id}",
            lease_s=settings.lease_s,
            lease_owner=lease_owner(),
            session_id=run_id,
        )
        session, token, epoch = created.session, created.lease_token, created.session.epoch
        if session.status.terminal:
            return _end_of(session)
        if token is None:
            reopened = reopen(conn, session.session_id, session.epoch, force=False)
            if reopened is None:
                return superseded(f"session {session.session_id} is owned by another run")
            epoch = reopened
            token = take_session(conn, session.session_id, epoch, settings.lease_s, lease_owner())
    assert token is not None
    return Fence(session.session_id, epoch, token)


def _end_of(session: SessionState) -> State[Any]:
    if session.status is SessionStatus.COMPLETED:
        return Completed(message=f"session {session.session_id} is completed")
    return Failed(message=f"{session.error_code}: {session.error_reason}; submit a new request to try again")
