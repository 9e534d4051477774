"""Rows in every valid state, as SQL expressions by column, and what must be there before they can be inserted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Row = Mapping[str, str]
"""Column to SQL expression."""


class Case(NamedTuple):
    """A row that breaks one constraint: the valid row `base` with `changes`."""

    constraint: str
    table: str
    base: Row
    changes: Row

    def __str__(self) -> str:
        return f"{self.table}.{self.constraint}: {dict(self.changes)}"


def cases(table: str, base: Row, **broken: list[Row]) -> list[Case]:
    return [Case(constraint, table, base, changes) for constraint, all_ in broken.items() for changes in all_]


FUND = "'00000000-0000-4000-8000-000000000001'"
USER = "'00000000-0000-4000-8000-000000000002'"
NOBODY = "'00000000-0000-4000-8000-00000000dead'"
SESSION = "'00000000-0000-4000-8000-0000000000aa'"
COMPANY = "'00000000-0000-4000-8000-0000000000bb'"
FRONTIER = "'00000000-0000-4000-8000-0000000000cc'"
KEY = "'matrix_v1.2_" + "0" * 64 + "'"
SHA = "'" + "1" * 64 + "'"
OTHER_SHA = "'" + "2" * 64 + "'"

LEASE = {"lease_token": "gen_random_uuid()", "lease_expires_at": "now()", "lease_owner": "'host:1'"}
MATRIX = {"matrix_generation": "1", "matrix_origin": "'hit'"}
ALLOCATION = {
    "allocation": "'[]'",
    "solver_metadata": "'{}'",
    "pass1_e_star": "2.5",
    "primary_lock_epsilon": "0.001",
}

REQUESTED = {
    "session_id": SESSION,
    "fund_id": FUND,
    "created_by": USER,
    "driver": "'bridge'",
    "client_key": "'click'",
    "request_hash": "'abc'",
    "request": "'{}'",
    "normalized_config": "'{}'",
    "matrix_key": KEY,
    "matrix_key_json": "'{}'",
    "status": "'REQUESTED'",
}
MATRIX_GENERATING = {**REQUESTED, "status": "'MATRIX_GENERATING'", "matrix_started_at": "now()"}
OPTIMIZING = {
    **MATRIX_GENERATING,
    **MATRIX,
    "status": "'OPTIMIZING'",
    "matrix_completed_at": "now()",
    "optimization_started_at": "now()",
}
VALIDATING = {
    **OPTIMIZING,
    **ALLOCATION,
    "status": "'VALIDATING'",
    "optimization_completed_at": "now()",
    "validation_started_at": "now()",
}
COMPLETED = {**VALIDATING, "status": "'COMPLETED'", "validation_metrics": "'{}'", "completed_at": "now()"}
FAILED = {
    **REQUESTED,
    "status": "'FAILED'",
    "error_code": "'infeasible'",
    "error_reason": "'because'",
    "completed_at": "now()",
}
FAILED_LATE = {**COMPLETED, **FAILED}

PENDING = {
    "idempotency_key": f"'optimization_session:' || {SESSION}",
    "session_id": SESSION,
    "payload": "'{}'",
    "status": "'pending'",
}
PROCESSING = {
    **PENDING,
    "status": "'processing'",
    "claim_id": "gen_random_uuid()",
    "processing_at": "now()",
    "attempts": "3",
}
ENQUEUED = {**PENDING, "status": "'enqueued'", "enqueued_at": "now()"}
SPENT = {**PENDING, "status": "'failed'", "error_reason": "'because'"}

FRONTIER_REQUESTED = {
    "frontier_id": FRONTIER,
    "session_id": SESSION,
    "created_by": USER,
    "vary": """'{"field": "cvarLimit", "values": [0.1, 0.2]}'""",
    "vary_hash": SHA,
    "request": "'{}'",
    "matrix_key": KEY,
    "status": "'REQUESTED'",
}
FRONTIER_SOLVING = {**FRONTIER_REQUESTED, **LEASE, "status": "'SOLVING'", "started_at": "now()"}
FRONTIER_COMPLETED = {**FRONTIER_REQUESTED, "status": "'COMPLETED'", "completed_at": "now()", "document": "'{}'"}
FRONTIER_FAILED = {
    **FRONTIER_REQUESTED,
    "status": "'FAILED'",
    "error_code": "'cancelled'",
    "error_reason": "'because'",
    "completed_at": "now()",
}
FRONTIER_POINT = {"point_key": SHA, "matrix_key": KEY, "value": "0.1", "point": "'{}'"}
FRONTIER_JOB = {
    "idempotency_key": f"'frontier:' || {FRONTIER}",
    "job_type": "'frontier'",
    "frontier_id": FRONTIER,
    "payload": "'{}'",
    "status": "'pending'",
}

EVENT = {"session_id": SESSION, "epoch": "0", "kind": "'rescued'", "detail": "'because'"}

TOKEN = {
    "user_id": USER,
    "name": "'nightly'",
    "secret_sha256": SHA,
    "scopes": "'{read}'",
    "expires_at": "now() + interval '1 d'",
}
LINK = {"user_id": USER, "code_sha256": SHA, "expires_at": "now() + interval '1 d'"}
PAGE_SESSION = {
    "user_id": USER,
    "secret_sha256": SHA,
    "expires_at": "now() + interval '1 d'",
    "csrf_token": "'token'",
}
ENTRY = {"user_id": USER, "credential": "'page'", "action": "'logged_in'", "detail": "''"}

GENERATING = {
    "matrix_key": KEY,
    "matrix_key_json": "'{}'",
    "sim_model_version": "'v1'",
    "calibration_version": "'c1'",
    "status": "'generating'",
    "generation": "1",
}
PAYLOAD = {
    "moic_matrix": "'\\x00'",
    "bucket_keys": "'[]'",
    "scenario_states": "'[]'",
    "bucket_params": "'[]'",
    "bucket_stats": "'{}'",
    "compression_codec": "'zlib'",
    "matrix_layout": "'row-major'",
    "bucket_count": "1",
    "s_opt": "1",
    "payload_sha256": SHA,
}
COMPLETE = {**GENERATING, **PAYLOAD, "status": "'complete'", "completed_at": "now()"}
FAILED_MATRIX = {**GENERATING, "status": "'failed'", "completed_at": "now()", "error_reason": "'because'"}

UNFINISHED = {
    "matrix_key": KEY,
    "generation": "1",
    "lease_token": "gen_random_uuid()",
    "lease_expires_at": "now()",
}
FINISHED = {**UNFINISHED, "finished_at": "now()", "outcome": "'complete'", "payload_sha256": SHA}
BROKEN = {**UNFINISHED, "finished_at": "now()", "outcome": "'failed'", "error_reason": "'because'"}
ABANDONED = {**UNFINISHED, "finished_at": "now()", "outcome": "'abandoned'"}

COMPANY_ROW = {"id": COMPANY, "fund_id": FUND, "external_id": "'c:1'", "name": "'Acme'", "status": "'operating'"}
EXITED = {**COMPANY_ROW, "status": "'exited'", "status_date": "'2012-03-04'", "sector": "'SaaS'"}
ROUND = {"company_id": COMPANY, "round_label": "'series-a'", "stage": "'A'", "investment_date": "'2010-01-02'"}
SOLD = {**ROUND, "amount_usd": "0", "disposal_date": "'2010-01-02'", "disposal_proceeds_usd": "0"}

MEMBER = {"fund_id": "(SELECT id FROM funds WHERE name = 'Fund')", "user_id": USER}

SNAPSHOT = {
    "version": "'v1'",
    "transition_stats": "'{}'",
    "exit_outcomes": "'{}'",
    "snapshot": """'{"version": "v1", "transition_stats": {}, "exit_outcomes": {}}'""",
    "sample_size": "0",
    "data_window": "'2004-2013'",
    "method": "'survival'",
}

VALID: list[tuple[str, Row]] = [
    ("users", {"name": "'Ada'"}),
    ("funds", {"name": "'Fund I'"}),
    ("fund_members", {**MEMBER, "role": "'viewer'"}),
    ("portfolio_companies", COMPANY_ROW),
    ("portfolio_companies", EXITED),
    ("investments", ROUND),
    ("investments", SOLD),
    ("calibration_snapshots", SNAPSHOT),
    ("calibration_snapshots", {**SNAPSHOT, "fund_id": FUND}),
    ("scenario_matrices", GENERATING),
    ("scenario_matrices", COMPLETE),
    ("scenario_matrices", FAILED_MATRIX),
    ("matrix_generations", UNFINISHED),
    ("matrix_generations", FINISHED),
    ("matrix_generations", BROKEN),
    ("matrix_generations", ABANDONED),
    ("optimization_sessions", REQUESTED),
    ("optimization_sessions", MATRIX_GENERATING),
    ("optimization_sessions", OPTIMIZING),
    ("optimization_sessions", {**VALIDATING, **LEASE}),
    ("optimization_sessions", COMPLETED),
    ("optimization_sessions", FAILED),
    ("optimization_sessions", FAILED_LATE),
    ("job_outbox", PENDING),
    ("job_outbox", PROCESSING),
    ("job_outbox", ENQUEUED),
    ("job_outbox", SPENT),
    ("job_outbox", FRONTIER_JOB),
    ("frontier_jobs", FRONTIER_REQUESTED),
    ("frontier_jobs", FRONTIER_SOLVING),
    ("frontier_jobs", FRONTIER_COMPLETED),
    ("frontier_jobs", FRONTIER_FAILED),
    ("frontier_points", FRONTIER_POINT),
    ("session_events", EVENT),
    ("access_tokens", TOKEN),
    ("access_tokens", {**TOKEN, "scopes": "'{admin, read, request}'", "revoked_at": "now()"}),
    ("login_links", LINK),
    ("page_sessions", PAGE_SESSION),
    ("audit_entries", ENTRY),
    ("audit_entries", {**ENTRY, "user_id": "NULL", "session_id": NOBODY, "matrix_key": KEY}),
]

NEEDED_FIRST: dict[str, list[tuple[str, Row]]] = {
    "fund_members": [("funds", {"name": "'Fund'"})],
    "investments": [("portfolio_companies", COMPANY_ROW)],
    "job_outbox": [("optimization_sessions", REQUESTED), ("frontier_jobs", FRONTIER_REQUESTED)],
    "frontier_jobs": [("optimization_sessions", REQUESTED)],
    "session_events": [("optimization_sessions", REQUESTED)],
}
