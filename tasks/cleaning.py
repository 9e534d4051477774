"""Deletes expired rows, in batches short enough not to block other transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine

from db.access import delete_spent_access
from db.engine import transaction
from db.retention import delete_ended_jobs, delete_unused_points, evict_matrices
from db.settings import Settings

DAY_S = 86_400.0
MATRICES_AT_ONCE = 20
JOBS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """How many rows went. access: login links, page sessions and tokens. points: of frontiers."""

    matrices: int
    jobs: int
    access: int
    points: int = 0


def clean_up(engine: Engine, settings: Settings) -> CleanupReport:
    """Killed at any moment it has deleted whole batches only. Raises Unavailable when the database is away."""
    evict = partial(
        evict_matrices,
        complete_s=settings.matrix_kept_days * DAY_S,
        failed_s=settings.failed_matrix_kept_days * DAY_S,
        limit=MATRICES_AT_ONCE,
    )
    delete = partial(delete_ended_jobs, ended_s=settings.job_kept_days * DAY_S, limit=JOBS_AT_ONCE)
    close = partial(delete_spent_access, ended_s=settings.job_kept_days * DAY_S, limit=JOBS_AT_ONCE)
    forget = partial(delete_unused_points, unused_s=settings.matrix_kept_days * DAY_S, limit=JOBS_AT_ONCE)
    return CleanupReport(*(_in_batches(engine, batch) for batch in (evict, delete, close, forget)))


def _in_batches(engine: Engine, delete: Callable[[Connection], int]) -> int:
    total = 0
    while True:
        with transaction(engine) as conn:
            deleted = delete(conn)
        if deleted == 0:
            return total
        total += deleted
