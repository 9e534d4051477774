"""Storing a request over HTTP: the API's route, the form and its repetition alike."""

from __future__ import annotations

from fastapi import Request

from core.request import OptimizationRequest
from db.access import Principal
from db.requests import request_session
from db.sessions import CreatedSession


def ask(request: Request, asked: OptimizationRequest, principal: Principal, client_key: str | None) -> CreatedSession:
    """See `db.requests.request_session`. The caller has seen to it that the principal may ask for this fund."""
    return request_session(
        request.app.state.engine,
        request.app.state.settings,
        asked,
        created_by=principal.user_id,
        credential=principal.credential,
        client_key=client_key,
    )
