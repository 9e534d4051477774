"""`vcfolio matrix`: stored matrices."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import NotFound
from db import requests
from db.audit import COMMAND_LINE, Actor
from db.engine import transaction
from db.funds import local_user_id
from db.settings import load_settings
from deployments.cli import terminal
from deployments.local.services import database


def invalidate_matrix(
    key: Annotated[str, typer.Argument(help="Matrix key, as `vcfolio status` and `result` show it.")],
) -> None:
    """Raises NotFound when no complete or failed matrix has this key."""
    with database(load_settings()) as engine, transaction(engine) as conn:
        if not requests.invalidate_matrix(conn, key, Actor(local_user_id(conn), COMMAND_LINE)):
            raise NotFound.of("KEY", key, "no complete or failed matrix has this key")
    terminal.say(f"{key} is discarded; the next session that needs it generates it again")
