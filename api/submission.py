"""Submitting a request over HTTP: the API's route, the form and its repetition alike."""

from __future__ import annotations

from fastapi import Request

from core.request import OptimizationRequest
from db.access import Principal
from db.requests import request_session
from db.session_rows import CreatedSession


def submit(
    request: Request, submitted: OptimizationRequest, principal: Principal, client_key: str | None
) -> CreatedSession:
    """See `db.requests.request_session`. The caller has checked that the principal may submit for this fund."""
    return request_session(
        request.app.state.engine,
        request.app.state.settings,
        submitted,
        created_by=principal.user_id,
        credential=principal.credential,
        client_key=client_key,
    )
