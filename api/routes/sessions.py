"""Sessions: submitted, followed, read, cancelled, listed."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from api.access import Database, Reader, Requester, require_member, visible_fund, visible_session
from api.bodies import json_text, optimization_request
from api.cursors import parse_session_cursor, session_cursor
from api.documents import (
    API,
    Accepted,
    CancelRequest,
    SessionLinks,
    SessionPage,
    StatusDocument,
    SummaryDocument,
)
from api.negotiation import CSV, JSON, PARQUET, allocation_table, chosen
from api.problems import Problem, ProblemDocument, Responses
from api.submission import submit
from core.session_states import SessionStatus
from db.engine import transaction
from db.requests import cancel_session
from db.results import session_result
from db.session_reads import list_sessions
from db.sessions import load_session

router = APIRouter(prefix=API, tags=["optimization"])

PROBLEM: dict[str, Any] = {"model": ProblemDocument}
NOT_FOUND: Responses = {404: {**PROBLEM, "description": "Unknown, or of a fund that is not yours."}}
FORBIDDEN: Responses = {403: {**PROBLEM, "description": "The scope or the role does not allow it."}}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Of your choice, for this one request: sent again with the same body it gives the same session.",
        examples=["2026-q3-base-case"],
    ),
]


@router.post(
    "/request",
    status_code=202,
    summary="Submit an optimization",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OptimizationRequest"}}},
        }
    },
    responses={
        **FORBIDDEN,
        **NOT_FOUND,
        400: {**PROBLEM, "description": "The body is no JSON."},
        409: {**PROBLEM, "description": "The idempotency key was used for another request."},
        413: {**PROBLEM, "description": "The body is too large."},
        415: {**PROBLEM, "description": "The body is not application/json."},
        422: {**PROBLEM, "description": "The request breaks rules; all of them are listed."},
        429: {**PROBLEM, "description": "The queue is full; see Retry-After."},
    },
)
def request_optimization(
    request: Request,
    response: Response,
    engine: Database,
    principal: Requester,
    text: Annotated[str, Depends(json_text)],
    key: IdempotencyKey = None,
) -> Accepted:
    """Stores a session and returns at once; the session is carried out by the stack. See `links` for what next."""
    parsed = optimization_request(text)
    with transaction(engine) as conn:
        require_member(visible_fund(conn, parsed.fund_id, principal))
    created = submit(request, parsed, principal, key)
    session_id = created.session.session_id
    links = SessionLinks.of(session_id)
    response.headers["Location"] = links.status
    return Accepted(session_id=session_id, status=created.session.status, created=created.created, links=links)


@router.get("/status/{session_id}", summary="How far a session is", responses=NOT_FOUND)
def status(session_id: UUID, engine: Database, principal: Reader) -> StatusDocument:
    with transaction(engine) as conn:
        return StatusDocument.of(visible_session(conn, session_id, principal))


@router.get(
    "/result/{session_id}",
    summary="The answer of a completed session",
    response_model=None,
    responses={
        200: {
            "description": "JSON: the whole result. CSV and Parquet: its allocation, one row a bucket.",
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Result"}}, CSV: {}, PARQUET: {}},
        },
        **NOT_FOUND,
        406: {**PROBLEM, "description": "None of the media types that can be had."},
        409: {**PROBLEM, "description": "The session is not completed; `detail` has its state."},
    },
)
def session_answer(
    session_id: UUID, engine: Database, principal: Reader, accept: Annotated[str | None, Header()] = None
) -> Response:
    media_type = chosen(accept)
    with transaction(engine) as conn:
        seen = visible_session(conn, session_id, principal)
        if seen.status is not SessionStatus.COMPLETED:
            why = f" ({seen.error_code}: {seen.error_reason})" if seen.error_code else ""
            raise Problem(409, "not_completed", f"the session is {seen.status.value}{why}")
        session = load_session(conn, session_id)
    result = session_result(session)
    headers = {"Vary": "Accept"}
    if media_type == JSON:
        return JSONResponse(result.as_json(), headers=headers)
    suffix = "csv" if media_type == CSV else "parquet"
    headers["Content-Disposition"] = f'attachment; filename="allocation-{session_id}.{suffix}"'
    return Response(allocation_table(result.allocation, media_type), media_type=media_type, headers=headers)


@router.get("/sessions", summary="Your funds' sessions, the newest first", responses=NOT_FOUND)
def sessions(
    engine: Database,
    principal: Reader,
    fund_id: Annotated[UUID | None, Query(alias="fundId", description="only those of this fund")] = None,
    status: Annotated[SessionStatus | None, Query(description="only those in this state")] = None,
    cursor: Annotated[str | None, Query(max_length=200, description="`nextCursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="sessions a page")] = 50,
) -> SessionPage:
    before = None if cursor is None else parse_session_cursor(cursor)
    with transaction(engine) as conn:
        if fund_id is not None:
            visible_fund(conn, fund_id, principal)
        # One more than asked tells whether there is another page.
        found = list_sessions(conn, principal.user_id, fund_id=fund_id, status=status, before=before, limit=limit + 1)
    shown = found[:limit]
    more = len(found) > limit
    return SessionPage(
        sessions=[SummaryDocument.of(summary) for summary in shown],
        next_cursor=session_cursor(shown[-1].created_at, shown[-1].session_id) if more else None,
    )


@router.post(
    "/sessions/{session_id}/cancel",
    summary="Cancel a session",
    responses={
        **NOT_FOUND,
        **FORBIDDEN,
        400: {**PROBLEM, "description": "The body is no JSON."},
        409: {**PROBLEM, "description": "It has ended already."},
    },
)
def cancel(
    session_id: UUID,
    engine: Database,
    principal: Requester,
    body: Annotated[CancelRequest | None, Body()] = None,
) -> StatusDocument:
    """It ends FAILED with the code `cancelled`; a running solve stops within seconds."""
    with transaction(engine) as conn:
        require_member(visible_session(conn, session_id, principal).role)
        if not cancel_session(conn, session_id, (body or CancelRequest()).reason, principal.actor):
            seen = visible_session(conn, session_id, principal)
            raise Problem(409, "ended", f"the session has ended already: {seen.status.value}")
        return StatusDocument.of(visible_session(conn, session_id, principal))
