"""The reaper's decisions, against PostgreSQL, with Prefect's answers given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from core.errors import Unavailable
from core.session_states import SessionStatus
from db import outbox, sessions
from db.engine import make_engine, transaction
from db.fault_points import armed
from db.tables.events import EventKind
from tasks.flow_runs import RunState
from tasks.reaping import BATCH, ReapReport, reap
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session, inline_session, session_at
from tests.db.store.lost_sessions import enqueue, expired_session, job_row
from tests.db.tasks.reaping import SETTINGS, expired, reap_once, session_of, stray
from tests.flow_runs import FlowRunsInMemory


def test_where_nothing_is_lost_nothing_is_done(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        bridge_session(conn)
        inline_session(conn)
        session_at(conn, SessionStatus.COMPLETED)
    report = reap(engine, SETTINGS, prefect)
    assert report == ReapReport()
    assert str(report) == "nothing to do"


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (RunState.SCHEDULED, {}),
        (RunState.BEGUN, {}),
        (RunState.CANCELLED, {EventKind.CANCELLED: 1}),
        (RunState.ENDED, {EventKind.RESTARTED: 1}),
        (None, {EventKind.RESTARTED: 1}),
    ],
)
def test_the_state_of_the_flow_run_decides_over_a_stray(
    engine: Engine, prefect: FlowRunsInMemory, state: RunState | None, outcome: dict[EventKind, int]
) -> None:
    session_id = stray(engine, prefect, state)
    assert reap_once(engine, prefect) == outcome
    session = session_of(engine, session_id)
    assert session.epoch == (1 if EventKind.RESTARTED in outcome else 0)
    assert (session.error_code == sessions.CANCELLED) == (state is RunState.CANCELLED)
    assert reap_once(engine, prefect) == {}


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (RunState.SCHEDULED, EventKind.RESCUED),
        (RunState.BEGUN, EventKind.RESCUED),
        (RunState.CANCELLED, EventKind.CANCELLED),
        (RunState.ENDED, EventKind.RESCUED),
        (None, EventKind.RESCUED),
    ],
)
def test_an_expired_session_goes_on_unless_a_person_cancelled_its_run(
    engine: Engine, prefect: FlowRunsInMemory, state: RunState | None, outcome: EventKind
) -> None:
    fence = expired(engine, prefect, state)
    assert reap_once(engine, prefect) == {outcome: 1}
    session = session_of(engine, fence.session_id)
    assert (session.epoch, session.rescues) == ((1, 1) if outcome is EventKind.RESCUED else (0, 0))
    assert session.status is (SessionStatus.OPTIMIZING if outcome is EventKind.RESCUED else SessionStatus.FAILED)
    # A killed run would stay Running in Prefect for ever.
    assert len(prefect.buried) == (state is RunState.BEGUN)


def test_a_run_that_has_begun_gets_its_time_to_take_the_session(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = stray(engine, prefect, RunState.BEGUN)
    assert reap_once(engine, prefect) == {}
    with transaction(engine) as conn:
        advance_clock(conn, SETTINGS.begun_patience_s - 30)
    assert reap_once(engine, prefect) == {}
    with transaction(engine) as conn:
        advance_clock(conn, 31)
    assert reap_once(engine, prefect) == {EventKind.RESTARTED: 1}
    assert len(prefect.buried) == 1
    session = session_of(engine, session_id)
    assert (session.epoch, session.rescues) == (1, 0)


def test_a_run_that_waits_for_a_worker_may_wait_for_hours(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = stray(engine, prefect, RunState.SCHEDULED)
    for _ in range(3):
        with transaction(engine) as conn:
            advance_clock(conn, 36_000)
        assert reap_once(engine, prefect) == {}
    assert session_of(engine, session_id).epoch == 0


def test_those_that_wait_for_a_worker_do_not_stand_before_one_whose_run_is_gone(
    engine: Engine, prefect: FlowRunsInMemory
) -> None:
    with transaction(engine) as conn:
        for _ in range(BATCH + 1):
            bridge_session(conn)
        waiting = {job: prefect.add(RunState.SCHEDULED) for job in outbox.claim_jobs(conn, BATCH + 1)}
        outbox.mark_enqueued(conn, waiting)
    gone = stray(engine, prefect, None)
    assert reap_once(engine, prefect) == {EventKind.RESTARTED: 1}
    assert session_of(engine, gone).epoch == 1


@pytest.mark.parametrize("lost", ["stray", "expired"])
def test_without_an_answer_from_prefect_nobody_is_taken_for_gone(
    engine: Engine, prefect: FlowRunsInMemory, lost: str
) -> None:
    session_id = stray(engine, prefect, None) if lost == "stray" else expired(engine, prefect, None).session_id
    with transaction(engine) as conn:
        orphan = bridge_session(conn)
        outbox.close_job(conn, orphan, "refused")
    prefect.away = "connection refused"
    before = session_of(engine, session_id)
    report = reap(engine, SETTINGS, prefect)
    assert report.prefect_away == "connection refused"
    assert "Prefect did not answer: connection refused" in str(report)
    assert session_of(engine, session_id) == before
    # What needs no answer is done all the same.
    assert report.sessions[EventKind.REVIVED] == 1
    prefect.away = None
    assert sum(reap_once(engine, prefect).values()) == 1


def test_a_run_that_cannot_be_buried_does_not_hold_up_the_others(
    engine: Engine, prefect: FlowRunsInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(flow_run_id: UUID, message: str) -> None:
        raise Unavailable("connection refused")

    monkeypatch.setattr(prefect, "mark_lost", away)
    with transaction(engine) as conn:
        for _ in range(3):
            expired_session(conn, prefect.add(RunState.BEGUN), SessionStatus.REQUESTED)
    assert reap_once(engine, prefect) == {EventKind.RESCUED: 3}


def test_claims_of_a_dead_bridge_are_taken_back(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
        outbox.claim_jobs(conn, 1)
        advance_clock(conn, SETTINGS.stuck_after_s - 10)
    assert reap(engine, SETTINGS, prefect).claims_taken_back == 0
    with transaction(engine) as conn:
        advance_clock(conn, 11)
    report = reap(engine, SETTINGS, prefect)
    assert (report.claims_taken_back, str(report)) == (1, "1 claims taken back")
    with transaction(engine) as conn:
        job = job_row(conn, session_id)
    assert (job["status"], job["attempts"], job["epoch"]) == ("pending", 1, 0)


def test_a_session_that_is_lost_again_and_again_is_given_up(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
    found = []
    for epoch in range(3):
        with transaction(engine) as conn:
            enqueue(conn, session_id, prefect.add(RunState.BEGUN))
            assert sessions.take_session(conn, session_id, epoch, 45, "host:1")
            advance_clock(conn, 46)
        found.append(reap_once(engine, prefect))
    assert found == [{EventKind.RESCUED: 1}, {EventKind.RESCUED: 1}, {EventKind.GIVEN_UP: 1}]
    session = session_of(engine, session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "lost_too_often")
    assert reap_once(engine, prefect) == {}


@pytest.mark.parametrize("off_s", [600, -600])
def test_the_clock_of_the_host_does_not_count(
    engine: Engine, prefect: FlowRunsInMemory, monkeypatch: pytest.MonkeyPatch, off_s: float
) -> None:
    """With a host clock ten minutes off a live lease is live, and an expired one expired; no time of day is sent."""
    with transaction(engine) as conn:
        live = inline_session(conn)
        claimed = bridge_session(conn)
        outbox.claim_jobs(conn, 1)
    begun = stray(engine, prefect, RunState.BEGUN)
    real_time = time.time
    monkeypatch.setattr(time, "time", lambda: real_time() + off_s)
    with _sent_to(engine) as sent:
        assert reap_once(engine, prefect) == {}
        with transaction(engine) as conn:
            assert sessions.extend_lease(conn, live, 45, None)
            assert sessions.take_session(conn, live.session_id, 0, 45, "host:2") is None
            assert job_row(conn, claimed)["status"] == "processing"
        with transaction(engine) as conn:
            advance_clock(conn, 46)
        assert reap_once(engine, prefect) == {EventKind.RESCUED: 1}
    assert [session_of(engine, one).epoch for one in (live.session_id, begun)] == [1, 0]
    assert len(sent) > 20
    assert [value for value in sent if isinstance(value, datetime)] == []
    about_now = [value for value in sent if isinstance(value, float) and abs(value - real_time()) < 1e6]
    assert about_now == []


@contextmanager
def _sent_to(engine: Engine) -> Iterator[list[object]]:
    """The parameters of all that is sent to the database meanwhile."""
    sent: list[object] = []

    def note(_conn: object, _cursor: object, _statement: str, parameters: Mapping[str, object], *_: object) -> None:
        sent.extend(parameters.values())

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_connections_cut_between_reading_and_writing_are_made_anew(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = stray(engine, prefect, None)

    def cut() -> None:
        other = make_engine(engine.url.render_as_string(hide_password=False))
        with transaction(other) as conn:
            cut_off = conn.scalars(
                text("""
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
                """)
            ).all()
        other.dispose()
        assert cut_off == [True]

    with armed("reaper.read", cut):
        assert reap_once(engine, prefect) == {EventKind.RESTARTED: 1}
    assert session_of(engine, session_id).epoch == 1


def test_a_database_that_is_away_is_said_to_be(prefect: FlowRunsInMemory) -> None:
    nowhere = make_engine("postgresql://nobody:none@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match="PostgreSQL"):
        reap(nowhere, SETTINGS, prefect)
