"""PostgreSQL itself refuses every invalid state: one case and more for each constraint, in plain SQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.db.store.broken_rows import FOREIGN_KEYS_AND_CHECKS
from tests.db.store.constraint_rows import (
    COMPANY_ROW,
    COMPLETE,
    COMPLETED,
    FRONTIER_JOB,
    NEEDED_FIRST,
    NOBODY,
    PENDING,
    REQUESTED,
    ROUND,
    SESSION,
    SNAPSHOT,
    VALID,
    Case,
    Row,
)
from tests.db.store.duplicate_rows import DUPLICATES


def _insert(conn: Connection, table: str, row: Row) -> None:
    conn.exec_driver_sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(row.values())})")


def _prepare(conn: Connection, table: str) -> None:
    for needed, row in NEEDED_FIRST.get(table, []):
        _insert(conn, needed, row)


def _broken_constraint(error: DBAPIError) -> str:
    name: str = error.orig.diag.constraint_name  # type: ignore[union-attr]
    return name


@pytest.mark.parametrize(("table", "row"), VALID)
def test_each_valid_state_is_accepted(connection: Connection, table: str, row: Row) -> None:
    _prepare(connection, table)
    _insert(connection, table, row)


@pytest.mark.parametrize("case", FOREIGN_KEYS_AND_CHECKS, ids=str)
def test_each_invalid_state_is_refused(connection: Connection, case: Case) -> None:
    _prepare(connection, case.table)
    with pytest.raises(IntegrityError) as caught:
        _insert(connection, case.table, {**case.base, **case.changes})
    assert _broken_constraint(caught.value) == case.constraint


@pytest.mark.parametrize("case", DUPLICATES, ids=str)
def test_each_duplicate_is_refused(connection: Connection, case: Case) -> None:
    _prepare(connection, case.table)
    _insert(connection, case.table, case.base)
    with pytest.raises(IntegrityError) as caught:
        _insert(connection, case.table, {**case.base, **case.changes})
    assert _broken_constraint(caught.value) == case.constraint


def test_every_constraint_has_a_case(connection: Connection) -> None:
    existing = connection.execute(
        text("""
            SELECT conrelid::regclass::text, conname FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u')
              AND conrelid <> 'alembic_version'::regclass
            UNION
            SELECT tablename, indexname FROM pg_indexes
            WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%' AND tablename <> 'alembic_version'
        """)
    )
    tested = {(case.table, case.constraint) for case in FOREIGN_KEYS_AND_CHECKS + DUPLICATES}
    # A second row for a session or frontier has its idempotency key too, which is checked first.
    by_key = {("job_outbox", "uq_job_outbox_session_id"), ("job_outbox", "uq_job_outbox_frontier_id")}
    assert {tuple(row) for row in existing} - tested == by_key


@pytest.mark.parametrize(
    ("row", "constraint"), [(PENDING, "uq_job_outbox_session_id"), (FRONTIER_JOB, "uq_job_outbox_frontier_id")]
)
def test_a_second_outbox_row_for_the_same_is_refused_by_an_index_of_its_own(
    connection: Connection, row: Row, constraint: str
) -> None:
    _prepare(connection, "job_outbox")
    _insert(connection, "job_outbox", row)
    connection.exec_driver_sql("ALTER TABLE job_outbox DROP CONSTRAINT uq_job_outbox_idempotency_key")
    with pytest.raises(IntegrityError) as caught:
        _insert(connection, "job_outbox", row)
    assert _broken_constraint(caught.value) == constraint


def test_evicting_a_matrix_leaves_its_sessions(connection: Connection) -> None:
    _insert(connection, "scenario_matrices", COMPLETE)
    _insert(connection, "optimization_sessions", COMPLETED)
    connection.exec_driver_sql("DELETE FROM scenario_matrices")
    assert connection.scalar(text("SELECT count(*) FROM optimization_sessions")) == 1


def test_deleting_a_company_deletes_its_investments(connection: Connection) -> None:
    _insert(connection, "portfolio_companies", COMPANY_ROW)
    _insert(connection, "investments", ROUND)
    connection.exec_driver_sql("DELETE FROM portfolio_companies")
    assert connection.scalar(text("SELECT count(*) FROM investments")) == 0


def test_sessions_without_a_client_key_do_not_collide(connection: Connection) -> None:
    for session_id in (SESSION, NOBODY):
        _insert(connection, "optimization_sessions", {**REQUESTED, "session_id": session_id, "client_key": "NULL"})


def test_a_snapshot_cannot_be_changed_in_any_column(connection: Connection) -> None:
    _insert(connection, "calibration_snapshots", SNAPSHOT)
    for change in ("sample_size = 1", "created_at = now()", "version = version"):
        savepoint = connection.begin_nested()
        with pytest.raises(IntegrityError, match="snapshot v1 is immutable"):
            connection.exec_driver_sql(f"UPDATE calibration_snapshots SET {change}")
        savepoint.rollback()
