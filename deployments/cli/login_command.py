"""`vcfolio login`: a link that logs in to the page."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import Engine

from db.access import create_login_link
from db.engine import transaction
from db.funds import LOCAL_USER
from db.settings import Settings, load_settings
from deployments.cli import terminal
from deployments.cli.addresses import page_address
from deployments.local.services import database


def login(user: Annotated[str, typer.Argument(help="User that it logs in.")] = "local") -> None:
    """Raises NotFound for an unknown user."""
    settings = load_settings()
    with database(settings) as engine:
        link = login_link(engine, settings, user)
    terminal.output.print(link, markup=False, soft_wrap=True)
    terminal.say(f"logs {user} in once, within {settings.login_link_minutes:g} minutes")


def login_link(engine: Engine, settings: Settings, user: str = LOCAL_USER) -> str:
    """Logs this user in once. Raises NotFound."""
    with transaction(engine) as conn:
        code = create_login_link(conn, user, timedelta(minutes=settings.login_link_minutes))
    return f"{page_address(settings)}/login/{code}"
