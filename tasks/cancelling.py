"""Cancels asked for in Prefect, heeded for runs whose worker does not: it was killed, or there never was one."""

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
    """Cancels the sessions and frontiers of the runs that Prefect has as Cancelling; returns the sessions that had not
    ended.

    A run that lives sees that its session is over, and ends. What is Cancelling for longer than any worker needs has
    nobody who ends it, and is set to Cancelled here. Any number may look at once, beside the runs' workers.
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
    """One that Prefect does not let go must not stand before the others."""
    try:
        flow_runs.mark_cancelled(run.flow_run_id, CANCELLED_IN_PREFECT)
    except (Unavailable, Rejected) as error:
        logger.warning("flow run %s cannot be marked as cancelled: %s", run.flow_run_id, error)
