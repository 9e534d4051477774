"""The reaper's decisions, against PostgreSQL, with Prefect's answers given."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, text

from core.errors import Unavailable, VcfolioError
from core.session_states import SessionStatus
from db import outbox, sessions
from db.audit import PREFECT, list_entries
from db.engine import make_engine, transaction
from db.events import events_of
from db.fault_points import armed
from db.sessions import Fence, SessionRow
from db.settings import Settings
from db.tables.access import Action
from db.tables.events import EventKind
from tasks.cancelling import CANCELLED_IN_PREFECT, propagate_cancellations
from tasks.flow_runs import Rejected, RunState
from tasks.reaping import BATCH, ReapReport, reap
from tests.db.store.examples import bridge_session, inline_session, session_at
from tests.db.store.lost import enqueue, expired_session, job_row, stray_session
from tests.db.store.passing_time import let_pass
from tests.flow_runs import FlowRunsInMemory

SETTINGS = Settings(home="/nowhere", max_epochs=3)


@pytest.fixture
def prefect() -> FlowRunsInMemory:
    return FlowRunsInMemory()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL, logger="tasks"):
        yield


def _reap(engine: Engine, prefect: FlowRunsInMemory) -> dict[EventKind, int]:
    return {kind: count for kind, count in reap(engine, SETTINGS, prefect).sessions.items() if count}


def _session(engine: Engine, session_id: UUID) -> SessionRow:
    with transaction(engine) as conn:
        return sessions.load_session(conn, session_id)


def _stray(engine: Engine, prefect: FlowRunsInMemory, state: RunState | None) -> UUID:
    """Its flow run is in that state; None: it is gone."""
    run = uuid4() if state is None else prefect.add(state)
    with transaction(engine) as conn:
        return stray_session(conn, run)


def _expired(engine: Engine, prefect: FlowRunsInMemory, state: RunState | None) -> Fence:
    run = uuid4() if state is None else prefect.add(state)
    with transaction(engine) as conn:
        return expired_session(conn, run)


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
    session_id = _stray(engine, prefect, state)
    assert _reap(engine, prefect) == outcome
    session = _session(engine, session_id)
    assert session.epoch == (1 if EventKind.RESTARTED in outcome else 0)
    assert (session.error_code == sessions.CANCELLED) == (state is RunState.CANCELLED)
    assert _reap(engine, prefect) == {}


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
    fence = _expired(engine, prefect, state)
    assert _reap(engine, prefect) == {outcome: 1}
    session = _session(engine, fence.session_id)
    assert (session.epoch, session.rescues) == ((1, 1) if outcome is EventKind.RESCUED else (0, 0))
    assert session.status is (SessionStatus.OPTIMIZING if outcome is EventKind.RESCUED else SessionStatus.FAILED)
    # A killed run would stay Running in Prefect for ever.
    assert len(prefect.buried) == (state is RunState.BEGUN)


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
    assert _reap(engine, prefect) == {EventKind.CANCELLED: 1}
    session = _session(engine, fence.session_id)
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
    assert _reap(engine, prefect) == {}


def test_a_lost_session_whose_run_is_being_cancelled_is_not_put_on_its_way(
    engine: Engine, prefect: FlowRunsInMemory
) -> None:
    run = prefect.add(RunState.BEGUN)
    with transaction(engine) as conn:
        fence = expired_session(conn, run)
    _ask_to_cancel(engine, prefect, run)
    assert _reap(engine, prefect) == {EventKind.CANCELLED: 1}
    session = _session(engine, fence.session_id)
    assert (session.error_code, session.epoch) == (sessions.CANCELLED, 0)


def test_a_cancel_of_a_run_that_was_left_behind_does_not_reach_the_session(
    engine: Engine, prefect: FlowRunsInMemory
) -> None:
    old = prefect.add(RunState.BEGUN)
    with transaction(engine) as conn:
        session_id = expired_session(conn, old).session_id
    assert _reap(engine, prefect) == {EventKind.RESCUED: 1}
    _ask_to_cancel(engine, prefect, old)
    assert _reap(engine, prefect) == {}
    assert _session(engine, session_id).status is SessionStatus.OPTIMIZING


def test_whoever_cancels_first_has_cancelled(engine: Engine, prefect: FlowRunsInMemory) -> None:
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
    before = _session(engine, fence.session_id)
    _ask_to_cancel(engine, prefect, run, SETTINGS.cancel_patience_s + 1)
    assert _reap(engine, prefect) == {}
    assert _session(engine, fence.session_id) == before
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
    _stray(engine, prefect, None)
    assert _reap(engine, prefect) == {EventKind.RESTARTED: 1}
    assert prefect.cancelling_since.keys() == {recent, stuck}


def test_a_run_that_has_begun_gets_its_time_to_take_the_session(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = _stray(engine, prefect, RunState.BEGUN)
    assert _reap(engine, prefect) == {}
    with transaction(engine) as conn:
        let_pass(conn, SETTINGS.begun_patience_s - 30)
    assert _reap(engine, prefect) == {}
    with transaction(engine) as conn:
        let_pass(conn, 31)
    assert _reap(engine, prefect) == {EventKind.RESTARTED: 1}
    assert len(prefect.buried) == 1
    session = _session(engine, session_id)
    assert (session.epoch, session.rescues) == (1, 0)


def test_a_run_that_waits_for_a_worker_may_wait_for_hours(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = _stray(engine, prefect, RunState.SCHEDULED)
    for _ in range(3):
        with transaction(engine) as conn:
            let_pass(conn, 36_000)
        assert _reap(engine, prefect) == {}
    assert _session(engine, session_id).epoch == 0


def test_those_that_wait_for_a_worker_do_not_stand_before_one_whose_run_is_gone(
    engine: Engine, prefect: FlowRunsInMemory
) -> None:
    with transaction(engine) as conn:
        for _ in range(BATCH + 1):
            bridge_session(conn)
        waiting = {job: prefect.add(RunState.SCHEDULED) for job in outbox.claim_jobs(conn, BATCH + 1)}
        outbox.mark_enqueued(conn, waiting)
    gone = _stray(engine, prefect, None)
    assert _reap(engine, prefect) == {EventKind.RESTARTED: 1}
    assert _session(engine, gone).epoch == 1


@pytest.mark.parametrize("lost", ["stray", "expired"])
def test_without_an_answer_from_prefect_nobody_is_taken_for_gone(
    engine: Engine, prefect: FlowRunsInMemory, lost: str
) -> None:
    session_id = _stray(engine, prefect, None) if lost == "stray" else _expired(engine, prefect, None).session_id
    with transaction(engine) as conn:
        orphan = bridge_session(conn)
        outbox.close_job(conn, orphan, "refused")
    prefect.away = "connection refused"
    before = _session(engine, session_id)
    report = reap(engine, SETTINGS, prefect)
    assert report.prefect_away == "connection refused"
    assert "Prefect did not answer: connection refused" in str(report)
    assert _session(engine, session_id) == before
    # What needs no answer is done all the same.
    assert report.sessions[EventKind.REVIVED] == 1
    prefect.away = None
    assert sum(_reap(engine, prefect).values()) == 1


def test_a_run_that_cannot_be_buried_does_not_hold_up_the_others(
    engine: Engine, prefect: FlowRunsInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(flow_run_id: UUID, message: str) -> None:
        raise Unavailable("connection refused")

    monkeypatch.setattr(prefect, "mark_lost", away)
    with transaction(engine) as conn:
        for _ in range(3):
            expired_session(conn, prefect.add(RunState.BEGUN), SessionStatus.REQUESTED)
    assert _reap(engine, prefect) == {EventKind.RESCUED: 3}


def test_claims_of_a_dead_bridge_are_taken_back(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
        outbox.claim_jobs(conn, 1)
        let_pass(conn, SETTINGS.stuck_after_s - 10)
    assert reap(engine, SETTINGS, prefect).claims_taken_back == 0
    with transaction(engine) as conn:
        let_pass(conn, 11)
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
            let_pass(conn, 46)
        found.append(_reap(engine, prefect))
    assert found == [{EventKind.RESCUED: 1}, {EventKind.RESCUED: 1}, {EventKind.GIVEN_UP: 1}]
    session = _session(engine, session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "lost_too_often")
    assert _reap(engine, prefect) == {}


def test_work_that_finishes_while_the_reaper_looks_stays_finished(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        fence = expired_session(conn, prefect.add(RunState.BEGUN), SessionStatus.VALIDATING)

    def finish() -> None:
        with transaction(engine) as conn:
            assert sessions.complete(conn, fence, {"feasible": True})

    with armed("reaper.read", finish):
        assert _reap(engine, prefect) == {}
    assert _session(engine, fence.session_id).status is SessionStatus.COMPLETED
    assert prefect.asked_for
    assert prefect.buried == []


@pytest.mark.parametrize("state", [RunState.BEGUN, RunState.CANCELLED])
def test_a_sign_of_life_while_the_reaper_looks_keeps_the_session(
    engine: Engine, prefect: FlowRunsInMemory, state: RunState
) -> None:
    fence = _expired(engine, prefect, state)

    def beat() -> None:
        with transaction(engine) as conn:
            assert sessions.extend_lease(conn, fence, 45, None)

    with armed("reaper.read", beat):
        assert _reap(engine, prefect) == {}
    with transaction(engine) as conn:
        assert sessions.owns(conn, fence)
        assert events_of(conn, fence.session_id) == []
    assert prefect.buried == []


def test_a_run_that_takes_its_session_while_the_reaper_looks_has_it(engine: Engine, prefect: FlowRunsInMemory) -> None:
    session_id = _stray(engine, prefect, None)

    def take() -> None:
        with transaction(engine) as conn:
            assert sessions.take_session(conn, session_id, 0, 45, "host:1")

    with armed("reaper.read", take):
        assert _reap(engine, prefect) == {}
    session = _session(engine, session_id)
    assert (session.epoch, session.lease_owner) == (0, "host:1")


def test_an_orphan_that_ends_while_the_reaper_looks_is_not_reopened(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
        outbox.close_job(conn, session_id, "refused")

    def cancel() -> None:
        with transaction(engine) as conn:
            assert sessions.cancel(conn, session_id, "by the user")

    with armed("reaper.read", cancel):
        assert _reap(engine, prefect) == {}
    session = _session(engine, session_id)
    assert (session.status, session.epoch, session.error_reason) == (SessionStatus.FAILED, 0, "by the user")


def test_two_reapers_that_have_read_the_same_do_it_once(engine: Engine, prefect: FlowRunsInMemory) -> None:
    with transaction(engine) as conn:
        bridge_session(conn)
        outbox.claim_jobs(conn, 1)
        let_pass(conn, SETTINGS.stuck_after_s + 1)
        expired = expired_session(conn, prefect.add(RunState.BEGUN))
        orphan = bridge_session(conn)
        outbox.close_job(conn, orphan, "refused")
    stray = _stray(engine, prefect, RunState.ENDED)
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
    assert [_session(engine, one).epoch for one in (expired.session_id, orphan, stray)] == [1, 1, 1]
    assert sum(len(prefect.buried) for prefect in prefects) == 1


@pytest.mark.parametrize("off_s", [600, -600])
def test_the_clock_of_the_host_does_not_count(
    engine: Engine, prefect: FlowRunsInMemory, monkeypatch: pytest.MonkeyPatch, off_s: float
) -> None:
    """With a host clock ten minutes off a live lease is live, and an expired one expired; no time of day is sent."""
    with transaction(engine) as conn:
        live = inline_session(conn)
        claimed = bridge_session(conn)
        outbox.claim_jobs(conn, 1)
    begun = _stray(engine, prefect, RunState.BEGUN)
    real_time = time.time
    monkeypatch.setattr(time, "time", lambda: real_time() + off_s)
    with _sent_to(engine) as sent:
        assert _reap(engine, prefect) == {}
        with transaction(engine) as conn:
            assert sessions.extend_lease(conn, live, 45, None)
            assert sessions.take_session(conn, live.session_id, 0, 45, "host:2") is None
            assert job_row(conn, claimed)["status"] == "processing"
        with transaction(engine) as conn:
            let_pass(conn, 46)
        assert _reap(engine, prefect) == {EventKind.RESCUED: 1}
    assert [_session(engine, one).epoch for one in (live.session_id, begun)] == [1, 0]
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
    session_id = _stray(engine, prefect, None)

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
        assert _reap(engine, prefect) == {EventKind.RESTARTED: 1}
    assert _session(engine, session_id).epoch == 1


def test_a_database_that_is_away_is_said_to_be(prefect: FlowRunsInMemory) -> None:
    nowhere = make_engine("postgresql://nobody:none@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match="PostgreSQL"):
        reap(nowhere, SETTINGS, prefect)
