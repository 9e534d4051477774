"""The database's clock, advanced: every stored time moves into the past, so to PostgreSQL so much time has passed."""

from __future__ import annotations

from sqlalchemy import Connection, DateTime, text

from db.tables import metadata

_LIVING = (
    "optimization_sessions",
    "job_outbox",
    "scenario_matrices",
    "matrix_generations",
    "session_events",
    "frontier_jobs",
    "frontier_points",
)


def _moved(table: str) -> str:
    columns = [column.name for column in metadata.tables[table].c if isinstance(column.type, DateTime)]
    return f"UPDATE {table} SET " + ", ".join(f"{name} = {name} - make_interval(secs => :seconds)" for name in columns)


_STATEMENTS = [text(_moved(table)) for table in _LIVING]


def advance_clock(conn: Connection, seconds: float) -> None:
    """As if nobody had done anything for so long."""
    for statement in _STATEMENTS:
        conn.execute(statement, {"seconds": seconds})
