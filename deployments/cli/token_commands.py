"""`vcfolio token add | list | revoke`: the API's bearer tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Column, Table

from core.errors import BadInput, NotFound
from db.access import AccessToken, create_token, list_tokens, revoke_token
from db.audit import COMMAND_LINE, Actor, record
from db.engine import transaction
from db.funds import local_user_id
from db.settings import load_settings
from db.tables.access import Action, Scope
from deployments.cli import terminal
from deployments.cli.arguments import AsJson
from deployments.local.services import database

DEFAULT_SCOPES = (Scope.READ, Scope.REQUEST)


def _token_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise BadInput.of("TOKEN_ID", value, "must be a UUID, as `vcfolio token list` shows it") from None


def add(
    name: Annotated[str, typer.Argument(help="Name of the token; unique for each user.")],
    *,
    user: Annotated[str, typer.Option(help="Whose token it is.")] = "local",
    scope: Annotated[list[str] | None, typer.Option(help="read, request or admin; may be repeated.")] = None,
    days: Annotated[float, typer.Option(help="Days until it expires, at most 366.")] = 90.0,
    as_json: AsJson = False,
) -> None:
    """Raises BadInput for an unknown scope or lifetime, NotFound for an unknown user, Conflict for a name in use."""
    scopes = DEFAULT_SCOPES if scope is None else scope
    for wanted in scopes:
        if wanted not in tuple(Scope):
            raise BadInput.of("--scope", wanted, f"must be one of {', '.join(Scope)}")
    if not 0 < days <= 366:  # also refuses NaN
        raise BadInput.of("--days", days, "must be above 0 and at most 366")
    with database(load_settings()) as engine, transaction(engine) as conn:
        token, secret = create_token(
            conn, user_name=user, name=name, scopes=[Scope(wanted) for wanted in scopes], lifetime=timedelta(days=days)
        )
        detail = f"{token.name} of {token.user_name}: {', '.join(token.scopes)}"
        record(conn, Actor(local_user_id(conn), COMMAND_LINE), Action.TOKEN_CREATED, detail=detail)
    if as_json:
        terminal.print_json(_document(token) | {"token": secret})
        return
    terminal.output.print(secret, markup=False, soft_wrap=True)
    terminal.say(f"keep it: it is shown only once. It expires at {token.expires_at:%Y-%m-%d %H:%M} UTC")


def show(*, as_json: AsJson = False) -> None:
    with database(load_settings()) as engine, transaction(engine) as conn:
        tokens = list_tokens(conn)
    if as_json:
        terminal.print_json([_document(token) for token in tokens])
        return
    table = Table("user", "name", "scopes", "expires", "last used", "revoked", Column("id", no_wrap=True))
    for token in tokens:
        times = (token.expires_at, token.last_used_at, token.revoked_at)
        shown = ("" if at is None else f"{at:%Y-%m-%d %H:%M}" for at in times)
        table.add_row(token.user_name, token.name, ", ".join(token.scopes), *shown, str(token.token_id))
    terminal.output.print(table)


def revoke(
    token_id: Annotated[UUID, typer.Argument(parser=_token_id, metavar="TOKEN_ID", help="As `token list` shows it.")],
) -> None:
    """Raises NotFound for an unknown token, and for one that is revoked already."""
    with database(load_settings()) as engine, transaction(engine) as conn:
        if not revoke_token(conn, token_id):
            raise NotFound.of("TOKEN_ID", str(token_id), "no token that is not revoked has this id")
        record(conn, Actor(local_user_id(conn), COMMAND_LINE), Action.TOKEN_REVOKED, detail=str(token_id))
    terminal.say(f"token {token_id} is revoked")


def _document(token: AccessToken) -> dict[str, Any]:
    times = {
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "lastUsedAt": token.last_used_at,
        "revokedAt": token.revoked_at,
    }
    return {
        "tokenId": str(token.token_id),
        "user": token.user_name,
        "name": token.name,
        "scopes": [scope.value for scope in token.scopes],
        **{name: None if at is None else at.isoformat() for name, at in times.items()},
    }
