"""The efficient frontier around a session's answer: what another value of one limit would bring."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.access import Database, Reader, Requester, require_member, visible_session
from api.documents import API, Document
from api.frontiers import Frontiers, FrontierState
from api.problems import Problem, ProblemDocument, Responses, not_found
from core.errors import BadInput
from core.frontier.variation import Variation, parse_variation
from core.session_states import SessionStatus
from db.engine import transaction
from db.sessions import SessionRow, load_session

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
    """Begins it, and returns at once; the same again is the same frontier. 200 once it is done."""
    variation = _variation(vary)
    with transaction(engine) as conn:
        require_member(visible_session(conn, session_id, principal).role)
        session = _completed(load_session(conn, session_id))
    frontiers: Frontiers = request.app.state.frontiers
    state = frontiers.ask(session, variation)
    if state.status == "done":
        response.status_code = 200
    return FrontierDocument.of_state(state)


@router.get("/sessions/{session_id}/frontier", summary="How far a frontier is, or the frontier", responses=RESPONSES)
def frontier(session_id: UUID, vary: Vary, request: Request, engine: Database, principal: Reader) -> FrontierDocument:
    variation = _variation(vary)
    with transaction(engine) as conn:
        visible_session(conn, session_id, principal)
    frontiers: Frontiers = request.app.state.frontiers
    state = frontiers.state(session_id, variation)
    if state is None:
        raise not_found("frontier; ask for it with POST")
    return FrontierDocument.of_state(state)


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
