"""Where a page of a list ends, as a text that clients hand back without looking into it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from core.errors import BadInput


def session_cursor(created_at: datetime, session_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {session_id}".encode()).decode()


def parse_session_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Raises BadInput for a text that no page of ours gave."""
    try:
        at, _, session_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        parsed = datetime.fromisoformat(at), UUID(session_id)
    except (ValueError, binascii.Error):
        raise BadInput.of("cursor", cursor, "must be the nextCursor of another page") from None
    if parsed[0].tzinfo is None:
        raise BadInput.of("cursor", cursor, "must be the nextCursor of another page")
    return parsed
