"""`vcfolio fund add | list | member`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from core.errors import BadInput
from db.calibrations import list_snapshots
from db.engine import transaction
from db.funds import add_fund, add_member, find_fund, list_funds, list_members, local_user_id
from db.settings import load_settings
from db.tables.owners import FundRole
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, FundReference
from deployments.local.services import database


def add(name: Annotated[str, typer.Argument(help="Name of the new fund.")]) -> None:
    """Raises BadInput for a name that cannot be one, Conflict for one that is taken."""
    with database(load_settings()) as engine, transaction(engine) as conn:
        fund = add_fund(conn, name, local_user_id(conn))
    terminal.output.print(f"{fund.name}: {fund.id}", markup=False)


def show(*, as_json: AsJson = False) -> None:
    with database(load_settings()) as engine, transaction(engine) as conn:
        rows = [(fund, [snapshot.version for snapshot in list_snapshots(conn, fund.id)]) for fund in list_funds(conn)]
    if as_json:
        terminal.print_json([{"fundId": str(f.id), "name": f.name, "calibrations": versions} for f, versions in rows])
        return
    table = Table("fund", Column("id", no_wrap=True), Column("calibrations", overflow="fold"))
    for fund, versions in rows:
        table.add_row(fund.name, str(fund.id), ", ".join(versions))
    terminal.output.print(table)


def member(
    fund: FundReference,
    user: Annotated[str | None, typer.Argument(help="User to add; without it the members are listed.")] = None,
    role: Annotated[str, typer.Option(help="owner, member or viewer.")] = "member",
) -> None:
    """Raises NotFound for an unknown fund, BadInput for a role that there is not."""
    if role not in tuple(FundRole):
        raise BadInput.of("--role", role, f"must be one of {', '.join(FundRole)}")
    with database(load_settings()) as engine, transaction(engine) as conn:
        found = find_fund(conn, fund)
        if user is not None:
            add_member(conn, found.id, user, FundRole(role))
        members = list_members(conn, found.id)
    table = Table("member", "role", title=found.name, title_justify="left")
    for entry in members:
        table.add_row(entry.user_name, entry.role.value)
    terminal.output.print(table)
