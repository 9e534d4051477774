"""A session's changes as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.access import CurrentVisitor, Database, Reader, Visitor, visible_session
from api.documents import API, StatusDocument
from api.events import SessionChanges, follow
from api.problems import ProblemDocument
from core.errors import Unavailable
from db.engine import transaction
from db.session_reads import session_status

router = APIRouter(prefix=API, tags=["optimization"])

RETRY_MS = 2000


def followed(session_id: UUID, engine: Database, who: CurrentVisitor, principal: Reader) -> Visitor:
    """Checks that the caller may follow the session; a dependency, so that a 404 comes before the stream begins."""
    with transaction(engine) as conn:
        visible_session(conn, session_id, principal)
    return who


@router.get(
    "/sessions/{session_id}/events",
    summary="Follow a session",
    response_class=EventSourceResponse,
    responses={404: {"model": ProblemDocument, "description": "Unknown, or of a fund that is not yours."}},
)
async def events(
    session_id: UUID, request: Request, engine: Database, who: Annotated[Visitor, Depends(followed)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events `status`, each with what `/status` answers: now, after each change, until the session ends.

    It ends as well when the caller logs out, the token is revoked or expires, or the fund is no longer theirs to see.
    A client that reconnects misses nothing: the first event is the state at that time.
    """
    changes: SessionChanges = request.app.state.changes
    last: StatusDocument | None = None

    def look() -> StatusDocument | None:
        nonlocal last
        try:
            with transaction(engine) as conn:
                known = who.still_known(conn)
                seen = session_status(conn, session_id, who.principal.user_id) if known else None
        except Unavailable:
            return last  # nothing new is known; the stream goes on
        last = None if seen is None else StatusDocument.of(seen)
        return last

    async for status in follow(changes, session_id, look):
        yield ServerSentEvent(event="status", data=status.model_dump(mode="json", by_alias=True), retry=RETRY_MS)
