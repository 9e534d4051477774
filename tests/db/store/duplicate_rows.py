"""Rows that may be stored once: what differs in each second row leaves one key or unique index alone to refuse it."""

from __future__ import annotations

from tests.db.store.constraint_rows import (
    COMPANY,
    COMPANY_ROW,
    COMPLETE,
    ENTRY,
    EVENT,
    FRONTIER_POINT,
    FRONTIER_REQUESTED,
    FUND,
    LINK,
    MEMBER,
    NOBODY,
    OTHER_SHA,
    PAGE_SESSION,
    PENDING,
    REQUESTED,
    ROUND,
    SESSION,
    SNAPSHOT,
    TOKEN,
    UNFINISHED,
    USER,
    cases,
)

DUPLICATES = [
    *cases("users", {"name": "'Ada'"}, uq_users_name=[{}], pk_users=[{"id": USER, "name": "'Eve'"}]),
    *cases("funds", {"name": "'Fund I'"}, uq_funds_name=[{}], pk_funds=[{"id": FUND, "name": "'Fund II'"}]),
    *cases("fund_members", MEMBER, pk_fund_members=[{}]),
    *cases(
        "portfolio_companies",
        COMPANY_ROW,
        pk_portfolio_companies=[{"external_id": "'c:2'"}],
        uq_portfolio_companies_fund_id_external_id=[{"id": NOBODY}],
    ),
    *cases("investments", {**ROUND, "id": NOBODY}, pk_investments=[{}]),
    *cases(
        "calibration_snapshots",
        {**SNAPSHOT, "id": NOBODY},
        uq_calibration_snapshots_version=[{"id": SESSION, "fund_id": FUND}],
        pk_calibration_snapshots=[{"version": "'v2'", "snapshot": SNAPSHOT["snapshot"].replace("v1", "v2")}],
    ),
    *cases("scenario_matrices", COMPLETE, pk_scenario_matrices=[{}]),
    *cases(
        "matrix_generations",
        UNFINISHED,
        pk_matrix_generations=[{"finished_at": "now()", "outcome": "'abandoned'"}],
        uq_matrix_generations_unfinished=[{"generation": "2"}],
    ),
    *cases(
        "optimization_sessions",
        REQUESTED,
        pk_optimization_sessions=[{"client_key": "NULL"}],
        uq_optimization_sessions_fund_id_client_key=[{"session_id": NOBODY}],
    ),
    *cases(
        "job_outbox",
        {**PENDING, "job_id": NOBODY},
        pk_job_outbox=[{"session_id": COMPANY, "idempotency_key": f"'optimization_session:' || {COMPANY}"}],
    ),
    *cases("frontier_jobs", FRONTIER_REQUESTED, pk_frontier_jobs=[{"vary_hash": OTHER_SHA}]),
    *cases("frontier_jobs", FRONTIER_REQUESTED, uq_frontier_jobs_session_id_vary_hash=[{"frontier_id": NOBODY}]),
    *cases("frontier_points", FRONTIER_POINT, pk_frontier_points=[{}]),
    *cases("session_events", {**EVENT, "event_id": "1"}, pk_session_events=[{}]),
    *cases(
        "access_tokens",
        {**TOKEN, "token_id": NOBODY},
        pk_access_tokens=[{"name": "'other'", "secret_sha256": OTHER_SHA}],
        uq_access_tokens_secret_sha256=[{"token_id": SESSION, "name": "'other'"}],
        idx_access_tokens_name=[{"token_id": SESSION, "secret_sha256": OTHER_SHA}],
    ),
    *cases(
        "login_links",
        {**LINK, "link_id": NOBODY},
        pk_login_links=[{"code_sha256": OTHER_SHA}],
        uq_login_links_code_sha256=[{"link_id": SESSION}],
    ),
    *cases(
        "page_sessions",
        {**PAGE_SESSION, "page_session_id": NOBODY},
        pk_page_sessions=[{"secret_sha256": OTHER_SHA}],
        uq_page_sessions_secret_sha256=[{"page_session_id": SESSION}],
    ),
    *cases("audit_entries", {**ENTRY, "entry_id": "1"}, pk_audit_entries=[{}]),
    # Both are given by the session: the idempotency key is made from it.
    *cases("job_outbox", PENDING, uq_job_outbox_idempotency_key=[{}]),
]  # fmt: skip
