"""`vcfolio login`: a link that logs in to the page, or the password of Prefect's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import Engine

from api.addresses import page_address
from core.errors import NotFound
from db.access import create_login_link
from db.engine import transaction
from db.funds import LOCAL_USER
from db.settings import Settings, load_settings
from deployments.cli import terminal
from deployments.local.services import database, own_api


def login(
    user: Annotated[str, typer.Argument(help="User that it logs in.")] = "local",
    *,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="Print what our own Prefect server's page asks for instead.")
    ] = False,
) -> None:
    """Raises NotFound for an unknown user, and with `prefect` where no Prefect server of ours runs."""
    settings = load_settings()
    if prefect:
        _print_prefect_password(settings)
        return
    with database(settings) as engine:
        link = login_link(engine, settings, user)
    terminal.output.print(link, markup=False, soft_wrap=True)
    terminal.say(f"logs {user} in once, within {settings.login_link_minutes:g} minutes")


def _print_prefect_password(settings: Settings) -> None:
    api = own_api(settings)
    if api is None or api.auth_string is None:
        raise NotFound.of(
            "--prefect", str(settings.home), "no Prefect server of this home runs; `vcfolio up` starts it"
        )
    terminal.output.print(api.auth_string, markup=False, soft_wrap=True)
    terminal.say(f"the password of {api.url.removesuffix('/api')}; who knows it can run commands as this user")


def login_link(engine: Engine, settings: Settings, user: str = LOCAL_USER) -> str:
    """Logs this user in once. Raises NotFound."""
    with transaction(engine) as conn:
        code = create_login_link(conn, user, timedelta(minutes=settings.login_link_minutes))
    return f"{page_address(settings)}/login/{code}"
