"""The flow of a session that is stored already: started by the bridge, or by the command that created it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect import flow
from prefect import runtime as prefect_runtime
from prefect.client.schemas.objects import State

from core.errors import VcfolioError
from db.engine import transaction
from db.funds import find_fund
from db.session_rows import Fence
from db.sessions import load_session, take_session
from flows.session_run import run_session, superseded
from tasks import runtime
from tasks.process_owner import lease_owner
from tasks.run_names import session_run_name


def _run_name() -> str:
    """Whatever goes wrong here goes wrong in the flow as well, and is told there."""
    session_id = UUID(str(prefect_runtime.flow_run.parameters["session_id"]))
    with suppress(VcfolioError), transaction(runtime.engine()) as conn:
        return session_run_name(find_fund(conn, load_session(conn, session_id).fund_id).name, session_id)
    return f"session {session_id}"


@flow(name="optimize-session", flow_run_name=_run_name, persist_result=False)
def optimize_session(session_id: UUID, epoch: int, lease_token: UUID | None = None) -> State[Any]:
    """Run the session to its end.

    lease_token: of a lease that is granted already (an inline run); without it the session is taken here.
    """
    if lease_token is None:
        with transaction(runtime.engine()) as conn:
            lease_token = take_session(conn, session_id, epoch, runtime.settings().lease_s, lease_owner())
    if lease_token is None:
        return superseded(f"session {session_id} is leased or at another epoch than {epoch}")
    return run_session(Fence(session_id, epoch, lease_token))
