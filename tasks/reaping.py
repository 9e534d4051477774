"""The reaper: finds sessions whose run was lost, and starts them again at a new epoch. Safe to run concurrently."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, Engine

from core.errors import Unavailable
from db import outbox, rescue
from db.engine import transaction
from db.fault_points import fault_point
from db.frontier_rescue import LostFrontier, lost_frontiers
from db.rescue import LostSession
from db.settings import Settings
from db.tables.events import EventKind
from tasks.cancelling import CANCELLED_IN_PREFECT, propagate_cancellations
from tasks.flow_runs import FlowRuns, RunState
from tasks.frontier_reaping import put_back

logger = logging.getLogger(__name__)

BATCH = 200
STRAY_GRACE_S = 2.0


@dataclass(slots=True)
class ReapReport:
    """How many of each kind. frontiers: requeued, given up or cancelled.

    prefect_away: why what needs an answer from Prefect was left for the next time.
    """

    claims_taken_back: int = 0
    sessions: dict[EventKind, int] = field(default_factory=lambda: dict.fromkeys(EventKind, 0))
    frontiers: int = 0
    prefect_away: str | None = None

    def __str__(self) -> str:
        parts = [f"{count} {kind}" for kind, count in self.sessions.items() if count]
        if self.claims_taken_back:
            parts.insert(0, f"{self.claims_taken_back} claims taken back")
        if self.frontiers:
            parts.append(f"{self.frontiers} frontiers")
        if self.prefect_away:
            parts.append(f"Prefect did not answer: {self.prefect_away}")
        return ", ".join(parts) or "nothing to do"


def reap(engine: Engine, settings: Settings, flow_runs: FlowRuns) -> ReapReport:
    """One pass over the outbox and the sessions. Raises Unavailable when the database is away."""
    return _Reaper(engine, settings, flow_runs).run()


class _Reaper:
    def __init__(self, engine: Engine, settings: Settings, flow_runs: FlowRuns) -> None:
        self._engine = engine
        self._settings = settings
        self._flow_runs = flow_runs
        self._report = ReapReport()

    def run(self) -> ReapReport:
        with transaction(self._engine) as conn:
            self._report.claims_taken_back = len(outbox.reset_stuck(conn, self._settings.stuck_after_s))
        with transaction(self._engine) as conn:
            expired = rescue.expired_sessions(conn, BATCH)
            strays = rescue.stray_sessions(conn, STRAY_GRACE_S)
            orphans = rescue.orphaned_sessions(conn, BATCH)
            frontiers = lost_frontiers(conn, STRAY_GRACE_S)
        fault_point("reaper.read")
        for orphan in orphans:
            self._write(orphan, EventKind.REVIVED, partial(rescue.revive, orphan=orphan))
        try:
            cancelled = propagate_cancellations(self._engine, self._settings, self._flow_runs)
            self._report.sessions[EventKind.CANCELLED] += len(cancelled)
            runs = [lost.flow_run_id for lost in (*expired, *strays)] + [lost.flow_run_id for lost in frontiers]
            states = self._flow_runs.states([run for run in runs if run])
        except Unavailable as error:
            # Nothing could be started now anyway, and a person may have cancelled there.
            self._report.prefect_away = str(error)
            return self._report
        for lost in expired:
            self._see_to_expired(lost, _state_of(lost, states))
        for lost in strays:
            self._see_to_stray(lost, _state_of(lost, states))
        for frontier in frontiers:
            self._see_to_frontier(frontier, None if frontier.flow_run_id is None else states.get(frontier.flow_run_id))
        return self._report

    def _see_to_frontier(self, lost: LostFrontier, state: RunState | None) -> None:
        with transaction(self._engine) as conn:
            written = put_back(conn, lost, state, self._settings)
        if written:
            self._report.frontiers += 1
            logger.warning("frontier %s, epoch %d: lost, %s", lost.frontier_id, lost.epoch, state or "its run is gone")
            if state is RunState.BEGUN and lost.flow_run_id is not None:
                self._mark_lost(lost.flow_run_id, f"frontier {lost.frontier_id}")

    def _see_to_expired(self, lost: LostSession, state: RunState | None) -> None:
        if state is RunState.CANCELLED:
            self._cancel(lost)
            return
        with transaction(self._engine) as conn:
            outcome = rescue.rescue(conn, lost, self._settings.max_epochs)
        if outcome is not None:
            self._count(lost, outcome)
            self._bury(lost, state)

    def _see_to_stray(self, stray: LostSession, state: RunState | None) -> None:
        match state:
            case RunState.SCHEDULED:
                return
            case RunState.CANCELLED:
                self._cancel(stray)
            case RunState.BEGUN:
                self._see_to_begun(stray)
            case RunState.ENDED:
                self._restart(stray, "its flow run ended without finishing it")
            case None:
                self._restart(stray, "its flow run is gone")

    def _see_to_begun(self, stray: LostSession) -> None:
        if stray.begun_for_s is None:
            with transaction(self._engine) as conn:
                rescue.note_begun(conn, stray)
        elif stray.begun_for_s >= self._settings.begun_patience_s:
            reason = f"its flow run began and did not take it within {self._settings.begun_patience_s:g} s"
            if self._restart(stray, reason):
                self._bury(stray, RunState.BEGUN)

    def _restart(self, stray: LostSession, reason: str) -> bool:
        return self._write(stray, EventKind.RESTARTED, partial(rescue.restart, stray=stray, reason=reason))

    def _cancel(self, lost: LostSession) -> None:
        self._write(lost, EventKind.CANCELLED, partial(rescue.cancel_lost, lost=lost, reason=CANCELLED_IN_PREFECT))

    def _write(self, lost: LostSession, kind: EventKind, write: Callable[[Connection], bool]) -> bool:
        with transaction(self._engine) as conn:
            written = write(conn)
        if written:
            self._count(lost, kind)
        return written

    def _count(self, lost: LostSession, kind: EventKind) -> None:
        self._report.sessions[kind] += 1
        fields = {"session_id": str(lost.session_id), "epoch": lost.epoch, "stage": "reaper"}
        logger.warning("session %s, epoch %d: %s", lost.session_id, lost.epoch, kind.value, extra=fields)

    def _bury(self, lost: LostSession, state: RunState | None) -> None:
        """A run that was killed stays Running for ever in Prefect, and keeps a slot of its work pool."""
        if state is RunState.BEGUN and lost.flow_run_id is not None:
            self._mark_lost(lost.flow_run_id, f"session {lost.session_id}")

    def _mark_lost(self, flow_run_id: UUID, subject: str) -> None:
        try:
            self._flow_runs.mark_lost(flow_run_id, f"{subject} goes on without this run")
        except Unavailable as error:
            logger.warning("flow run %s cannot be marked as crashed: %s", flow_run_id, error)


def _state_of(lost: LostSession, states: Mapping[UUID, RunState]) -> RunState | None:
    return None if lost.flow_run_id is None else states.get(lost.flow_run_id)
