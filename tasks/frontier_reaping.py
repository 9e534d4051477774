"""What becomes of a frontier that nobody carries on: the reaper's decision, by the state of its flow run."""

from __future__ import annotations

from sqlalchemy import Connection

from db.frontier_rescue import LostFrontier, begin_again, cancel_lost_frontier, note_frontier_begun
from db.settings import Settings
from tasks.cancelling import CANCELLED_IN_PREFECT
from tasks.flow_runs import RunState


def put_back(conn: Connection, lost: LostFrontier, state: RunState | None, settings: Settings) -> bool:
    """Whether it was requeued, given up or cancelled. state: of its flow run, None where that is gone."""
    if state is RunState.CANCELLED:
        return cancel_lost_frontier(conn, lost, CANCELLED_IN_PREFECT)
    if lost.lease_token is not None or not lost.has_run:
        return begin_again(conn, lost, settings.max_epochs)
    if state is RunState.SCHEDULED:
        return False
    if state is RunState.BEGUN and (lost.begun_for_s is None or lost.begun_for_s < settings.begun_patience_s):
        if lost.begun_for_s is None:
            note_frontier_begun(conn, lost)
        return False
    return begin_again(conn, lost, settings.max_epochs)
