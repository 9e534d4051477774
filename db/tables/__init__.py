"""The tables, described once. `db/migrations` builds the same, and `./run check` compares the two.

Every rule that the data must keep is a constraint here, so that PostgreSQL itself refuses an invalid state whoever
writes it. Liveness and deadlines are judged by PostgreSQL's now() alone.
"""

from db.tables.access import access_tokens, audit_entries, login_links, page_sessions
from db.tables.base import metadata
from db.tables.calibrations import calibration_snapshots
from db.tables.events import session_events
from db.tables.frontiers import frontier_jobs, frontier_points
from db.tables.history import investments, portfolio_companies
from db.tables.matrices import matrix_generations, scenario_matrices
from db.tables.outbox import job_outbox
from db.tables.owners import fund_members, funds, users
from db.tables.sessions import optimization_sessions

__all__ = [
    "access_tokens",
    "audit_entries",
    "calibration_snapshots",
    "frontier_jobs",
    "frontier_points",
    "fund_members",
    "funds",
    "investments",
    "job_outbox",
    "login_links",
    "matrix_generations",
    "metadata",
    "optimization_sessions",
    "page_sessions",
    "portfolio_companies",
    "scenario_matrices",
    "session_events",
    "users",
]
