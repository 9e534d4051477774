"""A session's changes as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.access import Database, Reader, visible_session
from api.documents import API, StatusDocument
from api.events import SessionChanges, follow
from api.problems import ProblemDocument
from core.errors import Unavailable
from db.access import Principal
from db.engine import transaction
from db.session_reads import session_status

router = APIRouter(prefix=API, tags=["optimization"])

RETRY_MS = 2000


def followed(session_id: UUID, engine: Database, principal: Reader) -> Principal:
    """Checks that the caller may follow the session; a dependency, so that a 404 comes before the stream begins."""
    with transaction(engine) as conn:
        visible_session(conn, session_id, principal)
    return principal


@router.get(
    "/sessions/{session_id}/events",
    summary="Follow a session",
    response_class=EventSourceResponse,
    responses={404: {"model": ProblemDocument, "description": "Unknown, or of a fund that is not yours."}},
)
async def events(
    session_id: UUID, request: Request, engine: Database, principal: Annotated[Principal, Depends(followed)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events `status`, each with what `/status` answers: now, after each change, until the session ends.

    A client that reconnects misses nothing: the first event is the state at that time.
    """
    changes: SessionChanges = request.app.state.changes
    last: StatusDocument | None = None

    def look() -> StatusDocument | None:
        nonlocal last
        try:
            with transaction(engine) as conn:
                seen = session_status(conn, session_id, principal.user_id)
        except Unavailable:
            return last  # nothing new is known; the stream goes on
        last = None if seen is None else StatusDocument.of(seen)
        return last

    async for status in follow(changes, session_id, look):
        yield ServerSentEvent(event="status", data=status.model_dump(mode="json", by_alias=True), retry=RETRY_MS)
