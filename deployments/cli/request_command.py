"""`vcfolio request`: a session for the stack to carry out."""

from __future__ import annotations

from typing import Annotated

import typer

from db.audit import COMMAND_LINE
from db.engine import transaction
from db.fault_points import arm
from db.funds import local_user_id
from db.requests import request_session
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, RequestFile
from deployments.cli.request_file import read_request
from deployments.local.services import database


def request(
    request: RequestFile,
    *,
    client_key: Annotated[
        str | None, typer.Option(help="Your own key: the same key and request again is the same session.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Raises BadInput, Conflict for a client key used for another request, TooManyWaiting; nothing is stored then."""
    parsed = read_request(request)
    settings = load_settings()
    arm(settings.fault)
    with database(settings) as engine:
        with transaction(engine) as conn:
            user = local_user_id(conn)
        created = request_session(
            engine, settings, parsed, created_by=user, credential=COMMAND_LINE, client_key=client_key
        )
    session_id = str(created.session.session_id)
    if as_json:
        terminal.print_json(
            {"sessionId": session_id, "status": created.session.status.value, "created": created.created}
        )
        return
    terminal.output.print(session_id, markup=False)
    terminal.say(f"{'stored' if created.created else 'stored before'}; follow it: vcfolio status {session_id} --watch")
