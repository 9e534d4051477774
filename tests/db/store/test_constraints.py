"""PostgreSQL itself refuses every invalid state: one case and more for each constraint, in plain SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

Row = Mapping[str, str]
"""Column to SQL expression."""

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
PAGE_SESSION = {"user_id": USER, "secret_sha256": SHA, "expires_at": "now() + interval '1 d'"}
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


class Case(NamedTuple):
    constraint: str
    table: str
    base: Row
    changes: Row

    def __str__(self) -> str:
        return f"{self.table}.{self.constraint}: {dict(self.changes)}"


def _cases(table: str, base: Row, **broken: list[Row]) -> list[Case]:
    return [Case(constraint, table, base, changes) for constraint, all_ in broken.items() for changes in all_]


FOREIGN_KEYS_AND_CHECKS = [
    *_cases("users", {"name": "'Ada'"}, chk_name=[{"name": "''"}, {"name": "' Ada'"}, {"name": "repeat('x', 201)"}]),
    *_cases(
        "funds",
        {"name": "'Fund I'"},
        chk_name=[{"name": "''"}, {"name": "'Fund '"}],
        chk_name_is_no_id=[{"name": FUND}, {"name": f"upper({NOBODY})"}],
    ),
    *_cases(
        "fund_members",
        {"fund_id": FUND, "user_id": USER},
        chk_role=[{"role": "'king'"}],
        fk_fund_members_fund_id=[{"fund_id": NOBODY}],
        fk_fund_members_user_id=[{"user_id": NOBODY}],
    ),
    *_cases(
        "portfolio_companies",
        COMPANY_ROW,
        chk_external_id=[{"external_id": "''"}],
        chk_sector=[{"sector": "''"}],
        chk_status=[{"status": "'acquired'"}],
        chk_status_date=[{"status_date": "'2012-01-01'"}],
        chk_unplaced_on=[{"last_round_on": "'2012-01-01'", "unplaced_on": "'2012-01-02'"}],
        chk_known_until=[{"last_round_on": "'2012-01-02'", "known_until": "'2012-01-01'"}],
        fk_portfolio_companies_fund_id=[{"fund_id": NOBODY}],
    ),
    *_cases(
        "investments",
        SOLD,
        chk_stage=[{"stage": "'D'"}, {"stage": "'seed'"}],
        chk_amount=[{"amount_usd": "-1"}, {"amount_usd": "'NaN'"}, {"amount_usd": "'Infinity'"}],
        chk_proceeds=[{"disposal_proceeds_usd": "-0.01"}, {"disposal_proceeds_usd": "'NaN'"}],
        chk_disposal_date=[{"disposal_date": "'2010-01-01'"}],
        chk_proceeds_dated=[{"disposal_date": "NULL"}],
        fk_investments_company_id=[{"company_id": NOBODY}],
    ),
    *_cases(
        "calibration_snapshots",
        SNAPSHOT,
        chk_version=[{"version": "''", "snapshot": SNAPSHOT["snapshot"].replace("v1", "")}],
        chk_method=[{"method": "'guess'"}],
        chk_sample_size=[{"sample_size": "-1"}],
        chk_snapshot_parts=[
            {"version": "'v2'"},
            {"transition_stats": """'{"A": 1}'"""},
            {"exit_outcomes": """'{"A": 1}'"""},
            {"snapshot": "'{}'"},
            {"snapshot": "'null'"},
        ],
        fk_calibration_snapshots_fund_id=[{"fund_id": NOBODY}],
    ),
    *_cases(
        "scenario_matrices",
        COMPLETE,
        chk_matrix_key=[
            {"matrix_key": "'matrix_v1.2_00'"},
            {"matrix_key": f"upper({KEY})"},
            {"matrix_key": f"replace({KEY}, '.', 'x')"},
        ],
        chk_matrix_key_json=[{"matrix_key_json": "'null'"}],
        chk_generation=[{"generation": "0"}],
        chk_payload_completeness=[{column: "NULL"} for column in PAYLOAD],
        chk_completed_at_status=[{"completed_at": "NULL"}],
        chk_error_reason_status=[{"error_reason": "'but'"}],
        chk_counts=[{"bucket_count": "0"}, {"s_opt": "-1"}],
        chk_payload_sha256=[{"payload_sha256": "'12'"}],
        chk_bucket_keys=[{"bucket_keys": "'null'"}, {"bucket_keys": "'{}'"}],
        chk_scenario_states=[{"scenario_states": "'null'"}],
        chk_bucket_params=[{"bucket_params": "'null'"}],
        chk_bucket_stats=[{"bucket_stats": "'null'"}],
    ),
    *_cases(
        "scenario_matrices",
        GENERATING,
        chk_status=[{"status": "'done'"}],
        chk_payload_completeness=[{column: value} for column, value in PAYLOAD.items()],
        chk_completed_at_status=[{"completed_at": "now()"}],
        chk_error_reason_status=[{"error_reason": "'but'"}],
    ),
    *_cases(
        "scenario_matrices",
        FAILED_MATRIX,
        chk_payload_completeness=[PAYLOAD, {"moic_matrix": PAYLOAD["moic_matrix"]}],
        chk_completed_at_status=[{"completed_at": "NULL"}],
        chk_error_reason_status=[{"error_reason": "NULL"}],
    ),
    *_cases(
        "matrix_generations",
        UNFINISHED,
        chk_matrix_key=[{"matrix_key": "'k'"}],
        chk_generation=[{"generation": "0"}],
        chk_finished_at_outcome=[{"finished_at": "now()"}, {"outcome": "'abandoned'"}],
        chk_payload_sha256_outcome=[{"payload_sha256": SHA}],
        chk_error_reason_outcome=[{"error_reason": "'but'"}],
        fk_matrix_generations_session_id=[{"session_id": NOBODY}],
    ),
    *_cases(
        "matrix_generations",
        FINISHED,
        chk_outcome=[{"outcome": "'lost'", "payload_sha256": "NULL"}],
        chk_finished_at_outcome=[{"finished_at": "NULL"}],
        chk_payload_sha256=[{"payload_sha256": "'12'"}],
        chk_payload_sha256_outcome=[{"payload_sha256": "NULL"}],
        chk_error_reason_outcome=[{"error_reason": "'but'"}],
    ),
    *_cases("matrix_generations", BROKEN, chk_error_reason_outcome=[{"error_reason": "NULL"}]),
    *_cases("matrix_generations", ABANDONED, chk_error_reason_outcome=[{"error_reason": "'but'"}]),
    *_cases(
        "optimization_sessions",
        REQUESTED,
        chk_driver=[{"driver": "'cron'"}],
        chk_client_key=[{"client_key": "''"}],
        chk_request_hash=[{"request_hash": "''"}],
        chk_request=[{"request": "'null'"}],
        chk_normalized_config=[{"normalized_config": "'null'"}],
        chk_matrix_key=[{"matrix_key": "'matrix_v1.2_zz'"}],
        chk_matrix_key_json=[{"matrix_key_json": "'[]'"}],
        chk_status=[{"status": "'DONE'", **MATRIX, "matrix_started_at": "now()", "matrix_completed_at": "now()",
                     "optimization_started_at": "now()", "optimization_completed_at": "now()",
                     "validation_started_at": "now()"}],
        chk_epoch=[{"epoch": "-1"}],
        chk_unclassified_failures=[{"unclassified_failures": "-1"}],
        chk_rescues=[{"rescues": "-1"}],
        chk_lease=[{"lease_token": "gen_random_uuid()"}, {"lease_expires_at": "now()"}],
        chk_lease_owner=[{"lease_owner": "'host:1'"}],
        chk_progress=[{"progress": "'null'"}],
        chk_completed_at_status=[{"completed_at": "now()"}],
        chk_error_status=[{"error_code": "'x'"}, {"error_reason": "'x'"}, {"error_code": "'x'", "error_reason": "'x'"}],
        chk_matrix_status=[MATRIX, {"matrix_generation": "1"}, {"matrix_origin": "'hit'"}],
        chk_allocation_status=[{column: value} for column, value in ALLOCATION.items()],
        chk_validation_status=[{"validation_metrics": "'{}'"}],
        chk_stage_timestamps=[{"matrix_started_at": "now()"}, {"validation_started_at": "now()"}],
        fk_optimization_sessions_fund_id=[{"fund_id": NOBODY}],
        fk_optimization_sessions_created_by=[{"created_by": NOBODY}],
    ),
    *_cases(
        "optimization_sessions",
        MATRIX_GENERATING,
        chk_matrix_status=[MATRIX],
        chk_allocation_status=[ALLOCATION],
        chk_stage_timestamps=[{"matrix_started_at": "NULL"}, {"optimization_started_at": "now()"}],
    ),
    *_cases(
        "optimization_sessions",
        OPTIMIZING,
        chk_matrix_origin=[{"matrix_origin": "'made'"}],
        chk_matrix_generation=[{"matrix_generation": "0"}],
        chk_matrix_status=[{"matrix_generation": "NULL"}, {"matrix_origin": "NULL"}],
        chk_allocation_status=[ALLOCATION, {"allocation": "'[]'"}],
        chk_validation_status=[{"validation_metrics": "'{}'"}],
        chk_stage_timestamps=[{"matrix_completed_at": "NULL"}, {"validation_started_at": "now()"}],
    ),
    *_cases(
        "optimization_sessions",
        VALIDATING,
        chk_allocation_status=[{column: "NULL"} for column in ALLOCATION],
        chk_allocation=[{"allocation": "'null'"}, {"allocation": "'{}'"}],
        chk_solver_metadata=[{"solver_metadata": "'null'"}],
        chk_pass1_e_star=[{"pass1_e_star": "'NaN'"}, {"pass1_e_star": "'-Infinity'"}],
        chk_primary_lock_epsilon=[{"primary_lock_epsilon": "-0.001"}, {"primary_lock_epsilon": "'NaN'"}],
        chk_validation_status=[{"validation_metrics": "'{}'"}],
        chk_stage_timestamps=[{"optimization_completed_at": "NULL"}],
        chk_completed_at_status=[{"completed_at": "now()"}],
    ),
    *_cases(
        "optimization_sessions",
        COMPLETED,
        chk_completed_at_status=[{"completed_at": "NULL"}],
        chk_allocation_status=[{"allocation": "NULL"}, {"solver_metadata": "NULL"}],
        chk_validation_status=[{"validation_metrics": "NULL"}],
        chk_validation_metrics=[{"validation_metrics": "'null'"}],
        chk_error_status=[{"error_code": "'x'", "error_reason": "'x'"}],
        chk_lease_status=[LEASE],
    ),
    *_cases(
        "optimization_sessions",
        FAILED,
        chk_completed_at_status=[{"completed_at": "NULL"}],
        chk_error_status=[{"error_code": "NULL"}, {"error_reason": "NULL"}],
        chk_matrix_status=[{"matrix_generation": "1"}],
        chk_lease_status=[LEASE],
    ),
    *_cases(
        "job_outbox",
        PENDING,
        chk_idempotency_key=[{"idempotency_key": "'optimization_session:x'"}],
        chk_job_subject=[{"frontier_id": FRONTIER}, {"session_id": "NULL", "idempotency_key": "'any'"}],
        chk_payload=[{"payload": "'null'"}],
        chk_status=[{"status": "'done'"}],
        chk_epoch=[{"epoch": "-1"}],
        chk_attempts=[{"attempts": "-1"}],
        chk_attempts_left=[{"attempts": "3"}],
        chk_claim_status=[{"claim_id": "gen_random_uuid()"}, {"processing_at": "now()"},
                          {"claim_id": "gen_random_uuid()", "processing_at": "now()"}],
        chk_enqueued_at_status=[{"enqueued_at": "now()"}],
        chk_error_reason_status=[{"error_reason": "'but'"}],
        fk_job_outbox_session_id=[
            {"session_id": NOBODY, "idempotency_key": f"'optimization_session:' || {NOBODY}"}
        ],
    ),
    *_cases(
        "job_outbox",
        PROCESSING,
        chk_attempts=[{"attempts": "4"}],
        chk_claim_status=[{"claim_id": "NULL"}, {"processing_at": "NULL"}],
    ),
    *_cases("job_outbox", ENQUEUED, chk_enqueued_at_status=[{"enqueued_at": "NULL"}]),
    *_cases("job_outbox", SPENT, chk_error_reason_status=[{"error_reason": "NULL"}]),
    *_cases(
        "job_outbox",
        FRONTIER_JOB,
        # With the key that would go with it, or that would be refused first.
        chk_job_type=[{"job_type": "'validation'", "idempotency_key": f"'validation:' || {FRONTIER}"}],
        chk_job_subject=[{"session_id": SESSION, "idempotency_key": f"'frontier:' || {SESSION}"}],
        fk_job_outbox_frontier_id=[{"frontier_id": NOBODY, "idempotency_key": f"'frontier:' || {NOBODY}"}],
    ),
    *_cases(
        "frontier_jobs",
        FRONTIER_REQUESTED,
        chk_vary=[{"vary": "'[]'"}],
        chk_vary_hash=[{"vary_hash": "'abc'"}],
        chk_request=[{"request": "'null'"}],
        chk_matrix_key=[{"matrix_key": "'matrix_v1.1_0'"}],
        chk_status=[{"status": "'OPTIMIZING'"}],
        chk_epoch=[{"epoch": "-1"}],
        chk_rescues=[{"rescues": "-1"}],
        chk_solved=[{"solved": "-1"}],
        chk_lease_status=[LEASE],
        chk_started_at_status=[{"status": "'SOLVING'"}],
        chk_completed_at_status=[{"completed_at": "now()"}],
        chk_error_status=[{"error_code": "'x'", "error_reason": "'y'"}],
        chk_document=[{**FRONTIER_COMPLETED, "document": "'[]'"}],
        chk_document_status=[{"document": "'{}'"}],
        fk_frontier_jobs_session_id=[{"session_id": NOBODY}],
        fk_frontier_jobs_created_by=[{"created_by": NOBODY}],
    ),
    *_cases(
        "frontier_jobs",
        FRONTIER_SOLVING,
        chk_lease=[{"lease_expires_at": "NULL"}],
        chk_lease_owner=[{"lease_token": "NULL", "lease_expires_at": "NULL"}],
    ),
    *_cases("frontier_jobs", FRONTIER_COMPLETED, chk_document_status=[{"document": "NULL"}]),
    *_cases("frontier_jobs", FRONTIER_FAILED, chk_error_status=[{"error_reason": "NULL"}]),
    *_cases(
        "frontier_points",
        FRONTIER_POINT,
        chk_point_key=[{"point_key": "'abc'"}],
        chk_matrix_key=[{"matrix_key": "'matrix_v1.1_0'"}],
        chk_value=[{"value": "'NaN'"}, {"value": "'Infinity'"}, {"value": "'-Infinity'"}],
        chk_point=[{"point": "'[]'"}],
    ),
    *_cases(
        "session_events",
        EVENT,
        chk_kind=[{"kind": "'lost'"}],
        chk_epoch=[{"epoch": "-1"}],
        fk_session_events_session_id=[{"session_id": NOBODY}],
    ),
    *_cases(
        "access_tokens",
        TOKEN,
        chk_name=[{"name": "''"}, {"name": "' x'"}],
        chk_secret_sha256=[{"secret_sha256": "'vcf_secret'"}],
        chk_scopes=[{"scopes": "'{}'"}, {"scopes": "'{read, all}'"}],
        chk_expires_at=[{"expires_at": "now()"}],
        fk_access_tokens_user_id=[{"user_id": NOBODY}],
    ),
    *_cases(
        "login_links",
        LINK,
        chk_code_sha256=[{"code_sha256": "'code'"}],
        chk_expires_at=[{"expires_at": "now()"}],
        fk_login_links_user_id=[{"user_id": NOBODY}],
    ),
    *_cases(
        "page_sessions",
        PAGE_SESSION,
        chk_secret_sha256=[{"secret_sha256": "'secret'"}],
        chk_expires_at=[{"expires_at": "now()"}],
        fk_page_sessions_user_id=[{"user_id": NOBODY}],
    ),
    *_cases(
        "audit_entries",
        ENTRY,
        chk_action=[{"action": "'slept'"}],
        chk_credential=[{"credential": "''"}],
        fk_audit_entries_user_id=[{"user_id": NOBODY}],
    ),
]  # fmt: skip

DUPLICATES = [
    *_cases("users", {"name": "'Ada'"}, uq_users_name=[{}], pk_users=[{"id": USER, "name": "'Eve'"}]),
    *_cases("funds", {"name": "'Fund I'"}, uq_funds_name=[{}], pk_funds=[{"id": FUND, "name": "'Fund II'"}]),
    *_cases("fund_members", MEMBER, pk_fund_members=[{}]),
    *_cases(
        "portfolio_companies",
        COMPANY_ROW,
        pk_portfolio_companies=[{"external_id": "'c:2'"}],
        uq_portfolio_companies_fund_id_external_id=[{"id": NOBODY}],
    ),
    *_cases("investments", {**ROUND, "id": NOBODY}, pk_investments=[{}]),
    *_cases(
        "calibration_snapshots",
        {**SNAPSHOT, "id": NOBODY},
        uq_calibration_snapshots_version=[{"id": SESSION, "fund_id": FUND}],
        pk_calibration_snapshots=[{"version": "'v2'", "snapshot": SNAPSHOT["snapshot"].replace("v1", "v2")}],
    ),
    *_cases("scenario_matrices", COMPLETE, pk_scenario_matrices=[{}]),
    *_cases(
        "matrix_generations",
        UNFINISHED,
        pk_matrix_generations=[{"finished_at": "now()", "outcome": "'abandoned'"}],
        uq_matrix_generations_unfinished=[{"generation": "2"}],
    ),
    *_cases(
        "optimization_sessions",
        REQUESTED,
        pk_optimization_sessions=[{"client_key": "NULL"}],
        uq_optimization_sessions_fund_id_client_key=[{"session_id": NOBODY}],
    ),
    *_cases(
        "job_outbox",
        {**PENDING, "job_id": NOBODY},
        pk_job_outbox=[{"session_id": COMPANY, "idempotency_key": f"'optimization_session:' || {COMPANY}"}],
    ),
    *_cases("frontier_jobs", FRONTIER_REQUESTED, pk_frontier_jobs=[{"vary_hash": OTHER_SHA}]),
    *_cases("frontier_jobs", FRONTIER_REQUESTED, uq_frontier_jobs_session_id_vary_hash=[{"frontier_id": NOBODY}]),
    *_cases("frontier_points", FRONTIER_POINT, pk_frontier_points=[{}]),
    *_cases("session_events", {**EVENT, "event_id": "1"}, pk_session_events=[{}]),
    *_cases(
        "access_tokens",
        {**TOKEN, "token_id": NOBODY},
        pk_access_tokens=[{"name": "'other'", "secret_sha256": OTHER_SHA}],
        uq_access_tokens_secret_sha256=[{"token_id": SESSION, "name": "'other'"}],
        idx_access_tokens_name=[{"token_id": SESSION, "secret_sha256": OTHER_SHA}],
    ),
    *_cases(
        "login_links",
        {**LINK, "link_id": NOBODY},
        pk_login_links=[{"code_sha256": OTHER_SHA}],
        uq_login_links_code_sha256=[{"link_id": SESSION}],
    ),
    *_cases(
        "page_sessions",
        {**PAGE_SESSION, "page_session_id": NOBODY},
        pk_page_sessions=[{"secret_sha256": OTHER_SHA}],
        uq_page_sessions_secret_sha256=[{"page_session_id": SESSION}],
    ),
    *_cases("audit_entries", {**ENTRY, "entry_id": "1"}, pk_audit_entries=[{}]),
    # Both are given by the session: the idempotency key is made from it.
    *_cases("job_outbox", PENDING, uq_job_outbox_idempotency_key=[{}]),
]  # fmt: skip


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
