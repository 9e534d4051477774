"""What tests of the reaper have in common."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import Engine

from db import sessions
from db.engine import transaction
from db.session_rows import Fence, SessionRow
from db.settings import Settings
from db.tables.events import EventKind
from tasks.flow_runs import RunState
from tasks.reaping import reap
from tests.db.store.lost_sessions import expired_session, stray_session
from tests.flow_runs import FlowRunsInMemory

SETTINGS = Settings(home="/nowhere", max_epochs=3)


def reap_once(engine: Engine, prefect: FlowRunsInMemory) -> dict[EventKind, int]:
    return {kind: count for kind, count in reap(engine, SETTINGS, prefect).sessions.items() if count}


def session_of(engine: Engine, session_id: UUID) -> SessionRow:
    with transaction(engine) as conn:
        return sessions.load_session(conn, session_id)


def stray(engine: Engine, prefect: FlowRunsInMemory, state: RunState | None) -> UUID:
    """Its flow run is in that state; None: it is gone."""
    run = uuid4() if state is None else prefect.add(state)
    with transaction(engine) as conn:
        return stray_session(conn, run)


def expired(engine: Engine, prefect: FlowRunsInMemory, state: RunState | None) -> Fence:
    run = uuid4() if state is None else prefect.add(state)
    with transaction(engine) as conn:
        return expired_session(conn, run)
