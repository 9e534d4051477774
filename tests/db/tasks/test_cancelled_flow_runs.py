"""Flow runs that somebody cancels in Prefect, against PostgreSQL, with Prefect's answers given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from core.errors import Unavailable, VcfolioError
from core.session_states import SessionStatus
from db import sessions
from db.audit import PREFECT, list_entries
from db.engine import transaction
from db.events import events_of
from db.session_rows import Fence
from db.tables.access import Action
from db.tables.events import EventKind
from tasks.cancelling import CANCELLED_IN_PREFECT, propagate_cancellations
from tasks.flow_runs import Rejected, RunState
from tests.db.store.examples import inline_session, session_at
from tests.db.store.lost_sessions import expired_session, stray_session
from tests.db.tasks.reaping import SETTINGS, reap_once, session_of, stray
from tests.flow_runs import FlowRunsInMemory


def _ask_to_cancel(engine: Engine, prefect: FlowRunsInMemory, run: UUID, ago_s: float = 0.0) -> None:
    with transaction(engine) as conn:
        since = conn.scalar(text("SELECT now() - make_interval(secs => :ago_s)"), {"ago_s": ago_s})
    prefect.ask_to_cancel(run, since)


def _form_session(engine: Engine, run: UUID) -> Fence:
    """Asked for in Prefect's form; its run has not noted its id yet."""
    with transaction(engine) as conn:
        return inline_session(conn, session_id=run)


def _carried(engine: Engine, run: UUID) -> Fence:
    with transaction(engine) as conn:
        fence = session_at(conn, SessionStatus.MATRIX_GENERATING)
        assert sessions.record_flow_run(conn, fence, run)
    return fence


def _made_for(engine: Engine, run: UUID) -> Fence:
    """Its run was made by the bridge, and takes the session now."""
    with transaction(engine) as conn:
        session_id = stray_session(conn, run)
        token = sessions.take_session(conn, session_id, 0, 45, "host:1")
        assert token is not None
    return Fence(session_id, 0, token)


@pytest.mark.parametrize("begin", [_carried, _made_for, _form_session])
def test_a_cancel_in_prefect_ends_a_session_that_is_being_carried(
    engine: Engine, prefect: FlowRunsInMemory, begin: Callable[[Engine, UUID], Fence]
) -> None:
    run = prefect.add(RunState.BEGUN)
    fence = begin(engine, run)
    other = _carried(engine, prefect.add(RunState.BEGUN))
    _ask_to_cancel(engine, prefect, run)
    assert reap_once(engine, prefect) == {EventKind.CANCELLED: 1}
    session = session_of(engine, fence.session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, sessions.CANCELLED)
    assert session.error_reason == CANCELLED_IN_PREFECT
    with transaction(engine) as conn:
        assert not sessions.owns(conn, fence)
        assert sessions.owns(conn, other)
        assert [event.kind for event in events_of(conn, fence.session_id)] == [EventKind.CANCELLED]
        (entry,) = list_entries(conn, before=None, limit=10)
    assert (entry.action, entry.session_id) == (Action.SESSION_CANCELLED, fence.session_id)
    assert (entry.user_name, entry.credential) == (None, PREFECT)
    # Its worker, or itself, has the time to end it.
    assert prefect.cancelling_since.keys() == {run}
    assert reap_once(engine, prefect) == {}


def test_a_lost_session_whose_run_is_being_cancelled_is_not_put_on_its_way(
    engine: Engine, prefect: FlowRunsInMemory
) -> None:
    run = prefect.add(RunState.BEGUN)
    with transaction(engine) as conn:
        fence = expired_session(conn, run)
    _ask_to_cancel(engine, prefect, run)
    assert reap_once(engine, prefect) == {EventKind.CANCELLED: 1}
    session = session_of(engine, fence.session_id)
    assert (session.error_code, session.epoch) == (sessions.CANCELLED, 0)


def test_a_cancel_of_a_run_that_was_left_behind_does_not_reach_the_session(
    engine: Engine, prefect: FlowRunsInMemory
) -> None:
    old = prefect.add(RunState.BEGUN)
    with transaction(engine) as conn:
        session_id = expired_session(conn, old).session_id
    assert reap_once(engine, prefect) == {EventKind.RESCUED: 1}
    _ask_to_cancel(engine, prefect, old)
    assert reap_once(engine, prefect) == {}
    assert session_of(engine, session_id).status is SessionStatus.OPTIMIZING


def test_the_first_of_two_cancels_is_the_recorded_one(engine: Engine, prefect: FlowRunsInMemory) -> None:
    """The worker of a run does the same as the reaper, sooner or later."""
    run = prefect.add(RunState.BEGUN)
    fence = _carried(engine, run)
    _ask_to_cancel(engine, prefect, run)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: propagate_cancellations(engine, SETTINGS, prefect), range(2)))
    assert sorted(map(list, found)) == [[], [fence.session_id]]
    with transaction(engine) as conn:
        assert len(events_of(conn, fence.session_id)) == 1


def test_a_session_that_has_ended_keeps_its_end_and_its_run_ends(engine: Engine, prefect: FlowRunsInMemory) -> None:
    run = prefect.add(RunState.BEGUN)
    fence = _carried(engine, run)
    with transaction(engine) as conn:
        assert sessions.fail(conn, fence, "infeasible", "because")
    before = session_of(engine, fence.session_id)
    _ask_to_cancel(engine, prefect, run, SETTINGS.cancel_patience_s + 1)
    assert reap_once(engine, prefect) == {}
    assert session_of(engine, fence.session_id) == before
    assert prefect.cancelling_since == {}


@pytest.mark.parametrize("away", [Unavailable("connection refused"), Rejected("not this one")])
def test_runs_that_nobody_ends_are_ended_after_a_while(
    engine: Engine, prefect: FlowRunsInMemory, monkeypatch: pytest.MonkeyPatch, away: VcfolioError
) -> None:
    """Those that never came to have a session among them; one that cannot be ended does not stand before the rest."""
    recent, stuck, without = (prefect.add(RunState.BEGUN) for _ in range(3))
    _ask_to_cancel(engine, prefect, recent, SETTINGS.cancel_patience_s - 10)
    _ask_to_cancel(engine, prefect, stuck, SETTINGS.cancel_patience_s + 1)
    _ask_to_cancel(engine, prefect, without, SETTINGS.cancel_patience_s + 1)
    mark_cancelled = prefect.mark_cancelled

    def mark_others(flow_run_id: UUID, message: str) -> None:
        if flow_run_id == stuck:
            raise away
        mark_cancelled(flow_run_id, message)

    monkeypatch.setattr(prefect, "mark_cancelled", mark_others)
    stray(engine, prefect, None)
    assert reap_once(engine, prefect) == {EventKind.RESTARTED: 1}
    assert prefect.cancelling_since.keys() == {recent, stuck}
