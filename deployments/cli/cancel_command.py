"""`vcfolio cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import BadInput
from db import requests
from db.audit import COMMAND_LINE, Actor
from db.engine import transaction
from db.funds import local_user_id
from db.sessions import load_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import SessionId
from deployments.local.services import database


def cancel(
    session_id: SessionId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "cancelled by its user",
) -> None:
    """Raises NotFound for an unknown id, BadInput for a session that has ended."""
    if not 1 <= len(reason) <= 500:
        raise BadInput.of("--reason", reason, "must have 1 to 500 characters")
    with database(load_settings()) as engine, transaction(engine) as conn:
        if not requests.cancel_session(conn, session_id, reason, Actor(local_user_id(conn), COMMAND_LINE)):
            status = load_session(conn, session_id).status.value
            raise BadInput.of("SESSION_ID", str(session_id), f"must not have ended yet; it is {status}")
    terminal.say(f"session {session_id} is cancelled")
