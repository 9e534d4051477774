"""The efficient frontier around a session's answer: what another value of one limit would bring."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import Connection

from api.access import Database, Reader, Requester, require_member, visible_session
from api.documents import API, Document
from api.frontiers import FrontierState
from api.problems import Problem, ProblemDocument, Responses, not_found
from core.errors import BadInput
from core.frontier.variation import Variation, parse_variation
from core.session_states import SessionStatus
from db.engine import transaction
from db.frontier_requests import request_frontier
from db.frontiers import FrontierRow, cancel_frontier, find_frontier
from db.session_rows import SessionRow
from db.sessions import load_session
from db.settings import Settings

router = APIRouter(prefix=API, tags=["optimization"])

Vary = Annotated[
    str,
    Query(
        max_length=2000,
        description="which limit, over which values: FIELD=START:STOP:COUNT or FIELD=VALUE,VALUE,...",
        examples=["cvarLimit=0.2:0.5:7"],
    ),
]
RESPONSES: Responses = {
    404: {"model": ProblemDocument, "description": "Unknown, or of a fund that is not yours."},
    409: {"model": ProblemDocument, "description": "The session is not completed, or of another version."},
    422: {"model": ProblemDocument, "description": "Not a limit, or not values that it may have."},
}


class FrontierDocument(Document):
    """`frontier` is what `vcfolio frontier --json` prints, once `status` is done."""

    status: str = Field(description="waiting, running, done or failed", examples=["running"])
    solved: int = Field(description="points solved so far", examples=[3])
    of: int = Field(description="points in all", examples=[7])
    frontier: dict[str, Any] | None
    error: str | None

    @classmethod
    def of_state(cls, state: FrontierState) -> FrontierDocument:
        document = None if state.document is None else dict(state.document)
        return cls(status=state.status, solved=state.solved, of=state.of, frontier=document, error=state.error)


@router.post(
    "/sessions/{session_id}/frontier",
    status_code=202,
    summary="Solve a completed session for a row of values of one limit",
    responses={**RESPONSES, 429: {"model": ProblemDocument, "description": "Too many wait; see Retry-After."}},
)
def ask_frontier(
    session_id: UUID, vary: Vary, request: Request, response: Response, engine: Database, principal: Requester
) -> FrontierDocument:
    """Stores it and returns at once; the stack solves it. The same again is the same frontier. 200 once it is done."""
    variation = _variation(vary)
    settings: Settings = request.app.state.settings
    with transaction(engine) as conn:
        require_member(visible_session(conn, session_id, principal).role)
        session = _completed(load_session(conn, session_id))
        frontier = request_frontier(conn, settings, session, variation, principal.user_id)
    response.headers["Location"] = f"{API}/sessions/{session_id}/frontier?{urlencode({'vary': vary})}"
    state = FrontierState.of_row(frontier)
    if state.status == "done":
        response.status_code = 200
    return FrontierDocument.of_state(state)


@router.get("/sessions/{session_id}/frontier", summary="How far a frontier is, or the frontier", responses=RESPONSES)
def frontier(session_id: UUID, vary: Vary, engine: Database, principal: Reader) -> FrontierDocument:
    variation = _variation(vary)
    with transaction(engine) as conn:
        visible_session(conn, session_id, principal)
        return FrontierDocument.of_state(FrontierState.of_row(_asked_for(conn, session_id, variation)))


@router.delete(
    "/sessions/{session_id}/frontier",
    summary="Cancel a frontier that is not done yet",
    responses={**RESPONSES, 409: {"model": ProblemDocument, "description": "It has ended already."}},
)
def cancel(session_id: UUID, vary: Vary, engine: Database, principal: Requester) -> FrontierDocument:
    """It ends as failed; a running solve stops within seconds. Points that are solved are kept."""
    variation = _variation(vary)
    with transaction(engine) as conn:
        require_member(visible_session(conn, session_id, principal).role)
        frontier = _asked_for(conn, session_id, variation)
        if not cancel_frontier(conn, frontier.frontier_id, f"cancelled by {principal.user_name}"):
            raise Problem(409, "ended", "the frontier has ended already")
        return FrontierDocument.of_state(FrontierState.of_row(_asked_for(conn, session_id, variation)))


def _asked_for(conn: Connection, session_id: UUID, variation: Variation) -> FrontierRow:
    """Raises Problem 404 for a frontier that nobody has asked for."""
    frontier = find_frontier(conn, session_id, variation)
    if frontier is None:
        raise not_found("frontier; ask for it with POST")
    return frontier


def _variation(vary: str) -> Variation:
    """Raises BadInput that names the parameter, which has no dashes here."""
    try:
        return parse_variation([vary])
    except BadInput as error:
        raise BadInput([dataclasses.replace(problem, field="vary") for problem in error.problems]) from None


def _completed(session: SessionRow) -> SessionRow:
    if session.status is not SessionStatus.COMPLETED:
        raise Problem(409, "not_completed", f"the session is {session.status.value}")
    return session
