"""On thousands of analyzed rows PostgreSQL answers each frequent question from the index that was made for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, text

from core.session_states import SessionStatus
from db import matrix_generations, session_rows, sessions
from db.engine import transaction
from db.funds import local_user_id
from db.session_reads import list_sessions, session_status
from db.sql import Statements
from tests.conftest import NewDatabase
from tests.db.store.examples import UNLIMITED, matrix_key

# Most sessions have ended, most rows are enqueued, most matrices are old: as after some months of use.
POPULATE = [
    """
    INSERT INTO optimization_sessions (session_id, fund_id, created_by, driver, request_hash, request,
      normalized_config, matrix_key, matrix_key_json, status, error_code, error_reason, created_at, completed_at,
      lease_token, lease_expires_at)
    SELECT gen_random_uuid(), '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002',
      CASE WHEN i % 2 = 0 THEN 'inline' ELSE 'bridge' END, 'hash', '{}', '{}',
      'matrix_v1.2_' || encode(sha256((i % 700)::text::bytea), 'hex'), '{}',
      CASE WHEN ended THEN 'FAILED' ELSE 'REQUESTED' END,
      CASE WHEN ended THEN 'infeasible' END, CASE WHEN ended THEN 'because' END,
      now() - make_interval(mins => i), CASE WHEN ended THEN now() END,
      CASE WHEN NOT ended THEN gen_random_uuid() END,
      CASE WHEN NOT ended THEN now() + make_interval(secs => i % 90 - 45) END
    FROM generate_series(1, 5000) AS i, LATERAL (SELECT i % 100 <> 0 AS ended) AS e
    """,
    """
    INSERT INTO job_outbox (idempotency_key, session_id, payload, status, next_run_at, created_at, attempts,
      claim_id, processing_at, enqueued_at)
    SELECT 'optimization_session:' || session_id, session_id, '{}', state, created_at, created_at, 1,
      CASE WHEN state = 'processing' THEN gen_random_uuid() END, CASE WHEN state = 'processing' THEN created_at END,
      CASE WHEN state = 'enqueued' THEN created_at END
    FROM (
      SELECT session_id, created_at, CASE row_number() OVER () % 100
        WHEN 0 THEN 'pending' WHEN 1 THEN 'processing' ELSE 'enqueued' END AS state
      FROM optimization_sessions
    ) AS s
    """,
    """
    INSERT INTO scenario_matrices (matrix_key, matrix_key_json, sim_model_version, calibration_version, status,
      generation, error_reason, created_at, completed_at, last_accessed_at, moic_matrix, bucket_keys, scenario_states,
      bucket_params, bucket_stats, compression_codec, matrix_layout, bucket_count, s_opt, payload_sha256)
    SELECT 'matrix_v1.2_' || encode(sha256(i::text::bytea), 'hex'), '{}', 'v1', 'c1',
      CASE WHEN ok THEN 'complete' ELSE 'failed' END, 1, CASE WHEN NOT ok THEN 'because' END,
      now() - make_interval(mins => i), now(), now() - make_interval(mins => 10 * i),
      CASE WHEN ok THEN '\\x00'::bytea END, CASE WHEN ok THEN '[]'::jsonb END, CASE WHEN ok THEN '[]'::jsonb END,
      CASE WHEN ok THEN '[]'::jsonb END, CASE WHEN ok THEN '{}'::jsonb END, CASE WHEN ok THEN 'zlib' END,
      CASE WHEN ok THEN 'row-major' END, CASE WHEN ok THEN 1 END, CASE WHEN ok THEN 1 END,
      CASE WHEN ok THEN repeat('0', 64) END
    FROM generate_series(1, 5000) AS i, LATERAL (SELECT i % 100 <> 0 AS ok) AS e
    """,
    """
    INSERT INTO matrix_generations (matrix_key, generation, started_at, lease_token, lease_expires_at, finished_at,
      outcome, payload_sha256)
    SELECT 'matrix_v1.2_' || encode(sha256(i::text::bytea), 'hex'), 1, now() - make_interval(mins => i),
      gen_random_uuid(), now(), CASE WHEN i > 2 THEN now() END, CASE WHEN i > 2 THEN 'complete' END,
      CASE WHEN i > 2 THEN repeat('0', 64) END
    FROM generate_series(1, 5000) AS i
    """,
]


@pytest.fixture(scope="module")
def populated(new_database: NewDatabase, template: str) -> Iterator[Connection]:
    with new_database(template) as engine:
        with transaction(engine) as conn:
            for statement in POPULATE:
                conn.execute(text(statement))
            conn.exec_driver_sql("ANALYZE")
        with engine.connect() as conn:
            yield conn


def _scans(plan: Mapping[str, Any]) -> set[str]:
    """The indexes that a plan reads, and each table that it reads from end to end."""
    own = plan.get("Index Name")
    found = {own} if own else {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*(_scans(child) for child in plan.get("Plans", [])))


def _explain(conn: Connection, statement: str, parameters: Mapping[str, Any]) -> set[str]:
    explained = conn.execute(text(f"EXPLAIN (FORMAT JSON) {statement}"), parameters).scalar_one()
    return _scans(explained[0]["Plan"])


def _explain_what_runs(conn: Connection, act: Any) -> list[set[str]]:
    """The scans of every statement that a function of `db` sends."""
    sent: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(conn.engine, "before_cursor_execute", note)
    try:
        with conn.begin_nested() as savepoint:
            act()
            savepoint.rollback()
    finally:
        event.remove(conn.engine, "before_cursor_execute", note)
    explainable = [(s, p) for s, p in sent if s.lstrip().startswith(("SELECT", "UPDATE", "INSERT", "DELETE", "WITH"))]
    plans = [conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {s}", p).scalar_one() for s, p in explainable]
    return [_scans(plan[0]["Plan"]) for plan in plans]


def test_claiming_reads_the_pending_rows_alone(populated: Connection) -> None:
    scans = _explain(populated, Statements("outbox")["claim_jobs"].text, {"limit": 10})
    assert "idx_job_outbox_claim" in scans
    assert "job_outbox" not in scans


def test_looking_for_stuck_claims_reads_the_claimed_rows_alone(populated: Connection) -> None:
    parameters = {"older_than_s": 300, "reason": "stuck", "error_code": "enqueue_failed"}
    scans = _explain(populated, Statements("outbox")["reset_stuck_sessions"].text, parameters)
    assert "idx_job_outbox_stuck" in scans
    assert "job_outbox" not in scans


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT session_id FROM optimization_sessions WHERE status = 'REQUESTED' ORDER BY created_at LIMIT 20",
            "idx_optimization_sessions_status",
        ),
        (
            (
                "SELECT session_id FROM optimization_sessions WHERE fund_id = '00000000-0000-4000-8000-000000000001' "
                "ORDER BY created_at DESC LIMIT 20"
            ),
            "idx_optimization_sessions_fund",
        ),
        (
            f"SELECT session_id FROM optimization_sessions WHERE matrix_key = '{matrix_key('1')}'",
            "idx_optimization_sessions_matrix_key",
        ),
        (
            (
                "SELECT session_id FROM optimization_sessions WHERE status NOT IN ('COMPLETED', 'FAILED') "
                "AND lease_expires_at <= now()"
            ),
            "idx_optimization_sessions_lease",
        ),
        (
            "SELECT matrix_key FROM scenario_matrices WHERE status = 'failed' AND created_at < now() - interval '7 d'",
            "idx_scenario_matrices_status",
        ),
        (
            (
                "SELECT matrix_key FROM scenario_matrices WHERE status = 'complete' "
                "AND last_accessed_at < now() - interval '30 d' ORDER BY last_accessed_at LIMIT 100"
            ),
            "idx_scenario_matrices_last_accessed",
        ),
    ],
)
def test_a_frequent_question_is_answered_from_its_index(populated: Connection, statement: str, index: str) -> None:
    assert _explain(populated, statement, {}) == {index}


@pytest.mark.parametrize("status", [None, SessionStatus.FAILED])
def test_a_page_of_a_list_reads_no_more_than_its_lines(populated: Connection, status: SessionStatus | None) -> None:
    user = local_user_id(populated)
    (scans,) = _explain_what_runs(populated, lambda: list_sessions(populated, user, status=status, limit=20))
    assert "idx_optimization_sessions_fund" in scans
    assert "optimization_sessions" not in scans


def test_a_status_is_found_by_its_id(populated: Connection) -> None:
    user = local_user_id(populated)
    (scans,) = _explain_what_runs(populated, lambda: session_status(populated, uuid4(), user))
    assert "pk_optimization_sessions" in scans
    assert "optimization_sessions" not in scans


def test_interrupted_sessions_are_found_among_the_active_ones_alone(populated: Connection) -> None:
    (scans,) = _explain_what_runs(populated, lambda: sessions.interrupted_inline_sessions(populated))
    assert scans == {"idx_optimization_sessions_lease"}


def test_beginning_a_generation_reads_no_table_from_end_to_end(populated: Connection) -> None:
    versions = matrix_generations.MatrixVersions("v1", "c1")

    def act() -> None:
        matrix_generations.begin_generation(
            populated, matrix_key("new"), {}, versions, session_id=None, limits=UNLIMITED, waited_for=1
        )

    scans = set[str]().union(*_explain_what_runs(populated, act))
    assert not scans & {"matrix_generations", "scenario_matrices"}
    assert {"idx_matrix_generations_started", "uq_matrix_generations_unfinished"} <= scans


@pytest.mark.parametrize(
    ("file", "name", "parameters"),
    [
        ("rescue", "expired_sessions", {"limit": 200}),
        ("rescue", "stray_sessions", {"grace_s": 2.0}),
        ("rescue", "orphaned_sessions", {"limit": 200}),
        ("requests", "session_of_run", {"run": uuid4()}),
    ],
    ids=["expired", "stray", "orphaned", "of a run"],
)
def test_the_reaper_looks_among_active_sessions_alone(
    populated: Connection, file: str, name: str, parameters: Mapping[str, Any]
) -> None:
    scans = _explain(populated, Statements(file)[name].text, parameters)
    assert "optimization_sessions" not in scans
    assert "idx_optimization_sessions_lease" in scans


def test_evicting_reads_neither_matrices_nor_sessions_from_end_to_end(populated: Connection) -> None:
    for unread_days in (1, 30, 400):
        parameters = {"complete_s": unread_days * 86_400, "failed_s": 7 * 86_400, "limit": 20}
        scans = _explain(populated, Statements("retention")["evict_matrices"].text, parameters)
        assert not scans & {"scenario_matrices", "optimization_sessions"}


STEADY = (
    "UPDATE optimization_sessions SET completed_at = completed_at - interval '1 year'",
    "DELETE FROM job_outbox WHERE job_id NOT IN (SELECT job_id FROM job_outbox ORDER BY created_at DESC LIMIT 300)",
)


def test_among_sessions_that_ended_long_ago_outbox_rows_that_may_go_are_found_by_their_own_age(
    new_database: NewDatabase, template: str
) -> None:
    """Day after day there are more of those sessions, and none of them has a row any more."""
    with new_database(template) as engine, engine.connect() as conn:
        for statement in (*POPULATE, *STEADY, "ANALYZE"):
            conn.execute(text(statement))
        scans = _explain(
            conn, Statements("retention")["delete_ended_jobs"].text, {"ended_s": 30 * 86_400, "limit": 500}
        )
    assert scans == {"idx_job_outbox_created", "pk_optimization_sessions", "pk_job_outbox"}


def test_a_fenced_write_touches_its_row_by_key(populated: Connection) -> None:
    session_id = populated.scalar(text("SELECT session_id FROM optimization_sessions LIMIT 1"))
    fence = session_rows.Fence(session_id, 0, session_id)
    scans = _explain_what_runs(populated, lambda: sessions.extend_lease(populated, fence, 45, None))
    assert scans == [{"pk_optimization_sessions"}]
