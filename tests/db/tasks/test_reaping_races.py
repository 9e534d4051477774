"""What happens to a session while the reaper looks: whoever is alive keeps it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine

from core.session_states import SessionStatus
from db import outbox, sessions
from db.engine import transaction
from db.events import events_of
from db.fault_points import armed
from db.tables.events import EventKind
from tasks.flow_runs import RunState
from tasks.reaping import reap
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session
from tests.db.store.lost_sessions import expired_session
from tests.db.tasks.reaping import SETTINGS, expired, reap_once, session_of, stray
from tests.flow_runs import FlowRunsInMemory


def test_work_that_finishes_while_the_reaper_looks_stays_finished(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        fence = expired_session(conn, prefect.add(RunState.BEGUN), SessionStatus.VALIDATING)

    def finish() -> None:
        with transaction(engine) as conn:
            assert sessions.complete(conn, fence, {"feasible": True})

    with armed("reaper.read", finish):
        assert reap_once(engine, prefect) == {}
    assert session_of(engine, fence.session_id).status is SessionStatus.COMPLETED
    assert prefect.asked_for
    assert prefect.buried == []


@pytest.mark.parametrize("state", [RunState.BEGUN, RunState.CANCELLED])
def test_a_sign_of_life_while_the_reaper_looks_keeps_the_session(
    engine: Engine, prefect: FlowRunsInMemory, state: RunState
) -> None:
    fence = expired(engine, prefect, state)

    def beat() -> None:
        with transaction(engine) as conn:
            assert sessions.extend_lease(conn, fence, 45, None)

    with armed("reaper.read", beat):
        assert reap_once(engine, prefect) == {}
    with transaction(engine) as conn:
        assert sessions.owns(conn, fence)
        assert events_of(conn, fence.session_id) == []
    assert prefect.buried == []


def test_a_run_that_takes_its_session_while_the_reaper_looks_has_it(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = stray(engine, prefect, None)

    def take() -> None:
        with transaction(engine) as conn:
            assert sessions.take_session(conn, session_id, 0, 45, "host:1")

    with armed("reaper.read", take):
        assert reap_once(engine, prefect) == {}
    session = session_of(engine, session_id)
    assert (session.epoch, session.lease_owner) == (0, "host:1")


def test_an_orphan_that_ends_while_the_reaper_looks_is_not_reopened(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
        outbox.close_job(conn, session_id, "refused")

    def cancel() -> None:
        with transaction(engine) as conn:
            assert sessions.cancel(conn, session_id, "by the user")

    with armed("reaper.read", cancel):
        assert reap_once(engine, prefect) == {}
    session = session_of(engine, session_id)
    assert (session.status, session.epoch, session.error_reason) == (SessionStatus.FAILED, 0, "by the user")


def test_two_reapers_that_have_read_the_same_do_it_once(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        bridge_session(conn)
        outbox.claim_jobs(conn, 1)
        advance_clock(conn, SETTINGS.stuck_after_s + 1)
        lost = expired_session(conn, prefect.add(RunState.BEGUN))
        orphan = bridge_session(conn)
        outbox.close_job(conn, orphan, "refused")
    strayed = stray(engine, prefect, RunState.ENDED)
    both_have_read = Barrier(2)

    class OneOfTwo(FlowRunsInMemory):
        """Answers when both reapers have read what is lost, and so have revived orphans."""

        def states(self, flow_run_ids):
            both_have_read.wait(timeout=60)
            return super().states(flow_run_ids)

    prefects = [OneOfTwo(states_by_id=dict(prefect.states_by_id)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda prefect: reap(engine, SETTINGS, prefect), prefects))
    together = {kind: sum(report.sessions[kind] for report in reports) for kind in EventKind}
    assert {kind: count for kind, count in together.items() if count} == {
        EventKind.RESCUED: 1,
        EventKind.RESTARTED: 1,
        EventKind.REVIVED: 1,
    }
    assert sum(report.claims_taken_back for report in reports) == 1
    assert [session_of(engine, one).epoch for one in (lost.session_id, orphan, strayed)] == [1, 1, 1]
    assert sum(len(prefect.buried) for prefect in prefects) == 1
