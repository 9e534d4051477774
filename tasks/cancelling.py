"""Cancellations requested in Prefect, carried out for runs whose worker is gone or never existed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, func, select

from core.errors import Unavailable
from db.audit import PREFECT, Actor
from db.engine import transaction
from db.frontiers import cancel_frontier_of_run
from db.requests import cancel_session_of_run
from db.settings import Settings
from tasks.flow_runs import CancellingRun, FlowRuns, Rejected

logger = logging.getLogger(__name__)

CANCELLED_IN_PREFECT = "cancelled in Prefect"


def propagate_cancellations(engine: Engine, settings: Settings, flow_runs: FlowRuns) -> Sequence[UUID]:
    """Cancels sessions and frontiers of runs that are Cancelling in Prefect; returns sessions that had not ended.

    A live run notices that its session has ended, and stops. A run that stays Cancelling longer than any worker needs
    has no worker, and is set to Cancelled here. Safe to call concurrently, also while workers are running.
    Raises Unavailable when the database is away or Prefect does not say which runs these are.
    """
    cancelled, patience = [], timedelta(seconds=settings.cancel_patience_s)
    for run in flow_runs.cancelling():
        with transaction(engine) as conn:
            session_id = cancel_session_of_run(conn, run.flow_run_id, CANCELLED_IN_PREFECT, Actor(None, PREFECT))
            frontier_id = cancel_frontier_of_run(conn, run.flow_run_id, CANCELLED_IN_PREFECT)
            abandoned = conn.scalar(select(func.now() >= run.since + patience))
        if session_id is not None:
            cancelled.append(session_id)
            fields = {"session_id": str(session_id), "stage": "cancel"}
            logger.warning("session %s: %s", session_id, CANCELLED_IN_PREFECT, extra=fields)
        if frontier_id is not None:
            logger.warning("frontier %s: %s", frontier_id, CANCELLED_IN_PREFECT)
        if abandoned:
            _end(run, flow_runs)
    return cancelled


def _end(run: CancellingRun, flow_runs: FlowRuns) -> None:
    """A run that Prefect refuses to end must not block the others."""
    try:
        flow_runs.mark_cancelled(run.flow_run_id, CANCELLED_IN_PREFECT)
    except (Unavailable, Rejected) as error:
        logger.warning("flow run %s cannot be marked as cancelled: %s", run.flow_run_id, error)
