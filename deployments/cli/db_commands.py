"""`vcfolio db upgrade | downgrade | info`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from sqlalchemy import Engine, func, select

from db import migrations
from db.engine import make_engine, transaction
from db.settings import load_settings
from db.tables.base import metadata
from deployments.cli import terminal
from deployments.cli.arguments import AsJson
from deployments.local.server import PostgresServer, open_postgres


def upgrade() -> None:
    with _server() as (_, engine):
        changed = migrations.upgrade(engine)
        now = migrations.current(engine)
    terminal.output.print(f"schema is at {now}" + ("" if changed else ", as it was"))


def downgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go back to, e.g. 0004, or base for none.")],
) -> None:
    """Raises BadInput for a revision that there is not."""
    with _server() as (_, engine):
        migrations.downgrade(engine, revision)
        now = migrations.current(engine)
    terminal.output.print(f"schema is at {now or 'base'}")


def info(*, as_json: AsJson = False) -> None:
    """Location, version, schema revision, and the number of rows of each table."""
    with _server() as (server, engine):
        document = {**asdict(server.describe()), "schema": migrations.current(engine), "newestSchema": migrations.HEAD}
        document["rows"] = _row_counts(engine) if document["schema"] == migrations.HEAD else {}
    if as_json:
        terminal.print_json(document)
        return
    for name, value in document.items():
        if name != "rows":
            terminal.output.print(f"{name:12} {value}", markup=False, soft_wrap=True)
    for table, count in document["rows"].items():
        terminal.output.print(f"  {table:24} {count:>9,}", markup=False)


def _row_counts(engine: Engine) -> dict[str, int]:
    with transaction(engine) as conn:
        return {
            table.name: conn.scalar(select(func.count()).select_from(table)) or 0 for table in metadata.sorted_tables
        }


@contextmanager
def _server() -> Iterator[tuple[PostgresServer, Engine]]:
    """The server as it is, nothing migrated."""
    with open_postgres(load_settings()) as server:
        engine = make_engine(server.url)
        try:
            yield server, engine
        finally:
            engine.dispose()
