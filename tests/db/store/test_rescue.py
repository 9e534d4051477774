from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from core.session_states import SessionStatus
from db import outbox, rescue, sessions
from db.engine import transaction
from db.events import events_of
from db.rescue import LostSession
from db.session_rows import Fence
from db.tables.events import EventKind
from db.tables.outbox import JobStatus
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import (
    bridge_session,
    expire_session_lease,
    inline_session,
    race,
    session_at,
    store_allocation,
)
from tests.db.store.lost_sessions import enqueue, expired_session, job_row, stray_session

GRACE_S = 2.0
MANY = 100


def _one(found: list[LostSession]) -> LostSession:
    (lost,) = found
    return lost


def _expired_one(conn: Connection) -> LostSession:
    return _one(rescue.expired_sessions(conn, MANY))


def _stray_one(conn: Connection) -> LostSession:
    return _one(rescue.stray_sessions(conn, GRACE_S))


def _orphan_one(conn: Connection) -> LostSession:
    return _one(rescue.orphaned_sessions(conn, MANY))


def test_what_is_on_its_way_is_not_lost(connection: Connection) -> None:
    """Waiting, claimed, just enqueued, running, ended."""
    bridge_session(connection)
    outbox.claim_jobs(connection, 1)
    session_id = bridge_session(connection)
    outbox.mark_enqueued(connection, {outbox.claim_jobs(connection, 1)[0]: uuid4()})
    assert job_row(connection, session_id)["status"] == "enqueued"
    inline_session(connection)
    bridge_session(connection)
    for status in (SessionStatus.COMPLETED, SessionStatus.FAILED):
        session_at(connection, status)
    assert rescue.expired_sessions(connection, MANY) == []
    assert rescue.stray_sessions(connection, GRACE_S) == []
    assert rescue.orphaned_sessions(connection, MANY) == []


@pytest.mark.parametrize("status", [status for status in SessionStatus if not status.terminal])
def test_a_session_whose_lease_ran_out_goes_on_from_its_stage_at_the_next_epoch(
    connection: Connection, status: SessionStatus
) -> None:
    fence = expired_session(connection, None, status)
    before = sessions.load_session(connection, fence.session_id)
    assert rescue.rescue(connection, _expired_one(connection), max_epochs=5) is EventKind.RESCUED
    after = sessions.load_session(connection, fence.session_id)
    assert after == replace(before, epoch=1, rescues=1, lease_token=None, lease_expires_at=None, lease_owner=None)
    job = job_row(connection, fence.session_id)
    assert (job["status"], job["epoch"], job["attempts"], job["due_in_s"]) == ("pending", 1, 0, 2)
    assert job["payload"] == {"session_id": str(fence.session_id), "epoch": 1}
    assert not sessions.owns(connection, fence)
    (event,) = events_of(connection, fence.session_id)
    assert (event.epoch, event.kind) == (0, EventKind.RESCUED)


def test_the_flow_run_that_was_lost_is_named_and_then_forgotten(connection: Connection) -> None:
    flow_run_id = uuid4()
    fence = expired_session(connection, flow_run_id)
    lost = _expired_one(connection)
    assert lost.flow_run_id == flow_run_id
    rescue.rescue(connection, lost, max_epochs=5)
    assert sessions.load_session(connection, fence.session_id).flow_run_id is None
    assert job_row(connection, fence.session_id)["flow_run_id"] is None


def _heartbeat(conn: Connection, fence: Fence) -> object:
    return sessions.extend_lease(conn, fence, 45, None)


def _take_over(conn: Connection, fence: Fence) -> object:
    return sessions.take_session(conn, fence.session_id, 0, 45, "host:2")


def _cancel(conn: Connection, fence: Fence) -> object:
    return sessions.cancel(conn, fence.session_id, "by the user")


def _fail(conn: Connection, fence: Fence) -> object:
    return sessions.fail(conn, fence, "infeasible", "because")


def _resume(conn: Connection, fence: Fence) -> object:
    return sessions.reopen(conn, fence.session_id, 0, force=False)


@pytest.mark.parametrize("meanwhile", [_heartbeat, _take_over, _cancel, _fail, _resume, store_allocation])
def test_what_happens_between_reading_and_writing_stands(
    connection: Connection, meanwhile: Callable[[Connection, Fence], object]
) -> None:
    fence = expired_session(connection)
    lost = _expired_one(connection)
    assert meanwhile(connection, fence)
    if meanwhile is store_allocation:
        # The stage is stored and the lease is as expired as before, so it may be rescued; but nothing of it is lost.
        assert rescue.rescue(connection, lost, max_epochs=5) is EventKind.RESCUED
        assert sessions.load_session(connection, fence.session_id).status is SessionStatus.VALIDATING
        return
    before, job = sessions.load_session(connection, fence.session_id), job_row(connection, fence.session_id)
    assert rescue.rescue(connection, lost, max_epochs=5) is None
    assert sessions.load_session(connection, fence.session_id) == before
    assert job_row(connection, fence.session_id) == job


def test_a_session_that_finishes_after_it_was_read_stays_completed(connection: Connection) -> None:
    fence = expired_session(connection, None, SessionStatus.VALIDATING)
    lost = _expired_one(connection)
    assert sessions.complete(connection, fence, {"feasible": True})
    before = sessions.load_session(connection, fence.session_id)
    assert rescue.rescue(connection, lost, max_epochs=1) is None
    assert not rescue.cancel_lost(connection, lost, "cancelled in Prefect")
    assert not rescue.restart(connection, lost, "its flow run is gone")
    assert not rescue.revive(connection, lost)
    assert sessions.load_session(connection, fence.session_id) == before
    assert events_of(connection, fence.session_id) == []


def test_a_session_is_given_up_when_it_was_lost_once_too_often(connection: Connection) -> None:
    session_id = bridge_session(connection)
    outcomes = []
    for epoch in range(3):
        assert sessions.take_session(connection, session_id, epoch, 45, "host:1")
        expire_session_lease(connection, session_id)
        outcomes.append(rescue.rescue(connection, _expired_one(connection), max_epochs=3))
    assert outcomes == [EventKind.RESCUED, EventKind.RESCUED, EventKind.GIVEN_UP]
    session = sessions.load_session(connection, session_id)
    assert (session.status, session.error_code, session.epoch, session.rescues) == (
        SessionStatus.FAILED,
        rescue.LOST_TOO_OFTEN,
        2,
        3,
    )
    assert session.error_reason == "the process that ran it was lost 3 times"
    assert job_row(connection, session_id)["status"] == "failed"
    assert [event.kind for event in events_of(connection, session_id)] == outcomes


def test_a_restart_does_not_count_as_a_lost_lease(connection: Connection) -> None:
    session_id = stray_session(connection, uuid4())
    for epoch in range(12):
        stray = _stray_one(connection)
        assert stray.epoch == epoch
        assert rescue.restart(connection, stray, "its flow run is gone")
        enqueue(connection, session_id, uuid4())
    session = sessions.load_session(connection, session_id)
    assert (session.status, session.epoch, session.rescues) == (SessionStatus.REQUESTED, 12, 0)


@pytest.mark.parametrize(("epoch", "delay_s"), [(0, 2), (1, 4), (7, 256), (8, 300), (5000, 300)])
def test_a_session_that_cannot_start_is_retried_after_growing_delays(
    connection: Connection, epoch: int, delay_s: int
) -> None:
    session_id = stray_session(connection, uuid4())
    for table in ("optimization_sessions", "job_outbox"):
        connection.execute(text(f"UPDATE {table} SET epoch = :epoch"), {"epoch": epoch})
    assert rescue.restart(connection, _stray_one(connection), "its flow run is gone")
    assert job_row(connection, session_id)["due_in_s"] == delay_s


def test_a_stray_that_was_taken_or_ended_meanwhile_is_left_alone(connection: Connection) -> None:
    session_id = stray_session(connection, uuid4())
    stray = _stray_one(connection)
    token = sessions.take_session(connection, session_id, 0, 45, "host:1")
    assert token is not None
    before = sessions.load_session(connection, session_id)
    assert not rescue.restart(connection, stray, "its flow run is gone")
    assert not rescue.cancel_lost(connection, stray, "cancelled in Prefect")
    assert sessions.load_session(connection, session_id) == before
    assert sessions.fail(connection, Fence(session_id, 0, token), "infeasible", "because")
    assert not rescue.restart(connection, stray, "its flow run is gone")


def test_a_stray_is_restarted_once(connection: Connection) -> None:
    flow_run_id = uuid4()
    session_id = stray_session(connection, flow_run_id)
    stray = _stray_one(connection)
    assert (stray.session_id, stray.flow_run_id, stray.begun_for_s) == (session_id, flow_run_id, None)
    assert rescue.restart(connection, stray, "its flow run is gone")
    assert not rescue.restart(connection, stray, "its flow run is gone")
    assert sessions.load_session(connection, session_id).epoch == 1


def test_since_when_a_run_has_begun_is_noted_once_and_forgotten_with_its_epoch(connection: Connection) -> None:
    stray_session(connection, uuid4())
    rescue.note_begun(connection, _stray_one(connection))
    advance_clock(connection, 50)
    rescue.note_begun(connection, _stray_one(connection))
    stray = _stray_one(connection)
    assert stray.begun_for_s == 50
    assert rescue.restart(connection, stray, "it began and did not take it")
    assert job_row(connection, stray.session_id)["begun_seen_at"] is None


def _delete_row(conn: Connection, session_id: UUID) -> None:
    conn.execute(text("DELETE FROM job_outbox WHERE session_id = :id"), {"id": session_id})


def _fail_row(conn: Connection, session_id: UUID) -> None:
    outbox.close_job(conn, session_id, "refused")


def _other_epoch(conn: Connection, session_id: UUID) -> None:
    conn.execute(text("UPDATE optimization_sessions SET epoch = 3 WHERE session_id = :id"), {"id": session_id})


@pytest.mark.parametrize("lose", [_delete_row, _fail_row, _other_epoch])
def test_a_session_without_a_row_that_leads_on_gets_one(
    connection: Connection, lose: Callable[[Connection, UUID], None]
) -> None:
    session_id = bridge_session(connection)
    lose(connection, session_id)
    orphan = _orphan_one(connection)
    assert rescue.revive(connection, orphan)
    session, job = sessions.load_session(connection, session_id), job_row(connection, session_id)
    assert session.epoch == job["epoch"] == orphan.epoch + 1
    assert (job["status"], job["error_reason"]) == ("pending", None)
    assert not rescue.revive(connection, orphan)
    assert rescue.orphaned_sessions(connection, MANY) == []


def test_an_orphan_whose_row_came_back_is_none(connection: Connection) -> None:
    session_id = bridge_session(connection)
    _delete_row(connection, session_id)
    orphan = _orphan_one(connection)
    outbox.put_job(connection, session_id, 0, JobStatus.PENDING)
    assert not rescue.revive(connection, orphan)
    assert sessions.load_session(connection, session_id).epoch == 0


def test_a_session_that_a_run_holds_is_no_orphan(connection: Connection) -> None:
    fence = inline_session(connection)
    _delete_row(connection, fence.session_id)
    assert rescue.orphaned_sessions(connection, MANY) == []


def test_cancelling_what_is_lost_ends_it_and_its_row(connection: Connection) -> None:
    fence = expired_session(connection)
    assert rescue.cancel_lost(connection, _expired_one(connection), "cancelled in Prefect")
    session = sessions.load_session(connection, fence.session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, sessions.CANCELLED)
    assert [event.kind for event in events_of(connection, fence.session_id)] == [EventKind.CANCELLED]


def test_a_batch_holds_those_that_wait_longest(connection: Connection) -> None:
    fences = [inline_session(connection) for _ in range(4)]
    for age_s, fence in enumerate(fences):
        connection.execute(
            text("UPDATE optimization_sessions SET lease_expires_at = now() - make_interval(secs => :s)"
                 " WHERE session_id = :id"),
            {"s": 1 + age_s, "id": fence.session_id},
        )  # fmt: skip
    found = [lost.session_id for lost in rescue.expired_sessions(connection, 2)]
    assert found == [fences[3].session_id, fences[2].session_id]


def test_many_rescuers_rescue_once(engine: Engine) -> None:
    with transaction(engine) as conn:
        fence = expired_session(conn)
        lost = _expired_one(conn)
    outcomes = race(engine, 6, lambda conn, _number: rescue.rescue(conn, lost, max_epochs=5))
    assert [outcome for outcome in outcomes if outcome] == [EventKind.RESCUED]
    with transaction(engine) as conn:
        session = sessions.load_session(conn, fence.session_id)
        assert (session.epoch, session.rescues) == (1, 1)
        assert len(events_of(conn, fence.session_id)) == 1


@pytest.mark.parametrize("max_epochs", [5, 1])
def test_a_session_is_finished_or_rescued_and_not_both(engine: Engine, max_epochs: int) -> None:
    for _ in range(5):
        with transaction(engine) as conn:
            fence = expired_session(conn, None, SessionStatus.VALIDATING)
            lost = next(one for one in rescue.expired_sessions(conn, MANY) if one.session_id == fence.session_id)

        def act(conn: Connection, number: int, fence: Fence = fence, lost: LostSession = lost) -> bool:
            if number == 0:
                return sessions.complete(conn, fence, {"feasible": True})
            return rescue.rescue(conn, lost, max_epochs) is not None

        completed, rescued = race(engine, 2, act)
        assert completed != rescued
        with transaction(engine) as conn:
            status = sessions.load_session(conn, fence.session_id).status
            conn.execute(text("DELETE FROM optimization_sessions"))
            conn.execute(text("DELETE FROM scenario_matrices"))
        assert (status is SessionStatus.COMPLETED) == completed


def test_reviving_and_restarting_at_once_do_not_deadlock_with_claims_and_cancels(engine: Engine) -> None:
    for _ in range(5):
        with transaction(engine) as conn:
            session_id = bridge_session(conn)
            outbox.close_job(conn, session_id, "refused")
            orphan = next(one for one in rescue.orphaned_sessions(conn, MANY) if one.session_id == session_id)

        def act(conn: Connection, number: int, orphan: LostSession = orphan) -> object:
            if number < 2:
                return rescue.revive(conn, orphan)
            if number == 2:
                return sessions.cancel(conn, orphan.session_id, "by the user")
            return outbox.claim_jobs(conn, MANY)

        first, second, cancelled, _claims = race(engine, 4, act)
        assert cancelled
        assert not (first and second)
        with transaction(engine) as conn:
            assert sessions.load_session(conn, session_id).status is SessionStatus.FAILED
            assert job_row(conn, session_id)["status"] == "failed"
