from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from core.errors import BadInput, NotFound
from core.session_states import SessionStatus
from db import outbox, queue, sessions
from db.engine import make_engine, transaction
from db.funds import EXAMPLE_FUND_ID, find_fund
from db.tables.outbox import JobStatus
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import bridge_session, inline_session, session_at
from tests.db.store.lost_sessions import job_row, stray_session

BRIDGE = "vcfolio bridge"


def test_an_empty_outbox_has_nothing_to_tell(connection: Connection) -> None:
    figures = queue.queue_figures(connection, BRIDGE)
    assert figures.depth == dict.fromkeys(JobStatus, 0)
    assert (figures.oldest_due_s, figures.waiting, figures.oldest_waiting_s) == (0, 0, 0)
    assert (figures.long_transactions, figures.bridges) == ((), 0)
    assert queue.list_jobs(connection, 10) == []


def test_the_figures_are_of_sessions_that_have_not_ended(connection: Connection) -> None:
    session_at(connection, SessionStatus.COMPLETED)
    bridge_session(connection)
    outbox.claim_jobs(connection, 1)
    inline_session(connection)
    bridge_session(connection)
    cancelled = bridge_session(connection)
    sessions.cancel(connection, cancelled, "by the user")
    advance_clock(connection, 90)
    bridge_session(connection)
    figures = queue.queue_figures(connection, BRIDGE)
    assert figures.depth == {
        JobStatus.PENDING: 2,
        JobStatus.PROCESSING: 1,
        JobStatus.ENQUEUED: 1,
        JobStatus.FAILED: 0,
    }
    assert (figures.oldest_due_s, figures.oldest_waiting_s) == (90, 90)
    # The one that is being carried out has a flow run, too.
    session_at(connection, SessionStatus.MATRIX_GENERATING)
    figures = queue.queue_figures(connection, BRIDGE)
    assert (figures.waiting, figures.with_run, figures.depth[JobStatus.ENQUEUED]) == (4, 1, 2)


def test_a_row_that_is_put_off_is_not_due(connection: Connection) -> None:
    session_id = bridge_session(connection)
    outbox.put_job(connection, session_id, 1, JobStatus.PENDING, delay_s=60)
    assert queue.queue_figures(connection, BRIDGE).oldest_due_s == 0
    (job,) = queue.list_jobs(connection, 10)
    assert job.due_in_s == 60


def test_the_list_names_fund_and_trouble_and_begins_with_the_longest_due(connection: Connection) -> None:
    trouble = bridge_session(connection)
    (job,) = outbox.claim_jobs(connection, 1)
    outbox.fail_claim(connection, job, "refused")
    advance_clock(connection, 60)
    flow_run_id = uuid4()
    enqueued = stray_session(connection, flow_run_id)
    fresh = bridge_session(connection)
    listed = queue.list_jobs(connection, 10)
    assert [row.session_id for row in listed] == [trouble, enqueued, fresh]
    assert {row.fund for row in listed} == {find_fund(connection, EXAMPLE_FUND_ID).name}
    assert [(row.status, row.attempts, row.last_error) for row in listed] == [
        (JobStatus.PENDING, 1, "refused"),
        (JobStatus.ENQUEUED, 1, None),
        (JobStatus.PENDING, 0, None),
    ]
    assert listed[0].due_in_s < 0
    assert listed[1].flow_run_id == flow_run_id
    assert len(queue.list_jobs(connection, 2)) == 2


def test_a_redriven_row_is_due_at_once_with_all_its_attempts(connection: Connection) -> None:
    session_id = bridge_session(connection)
    (job,) = outbox.claim_jobs(connection, 1)
    outbox.fail_claim(connection, job, "refused")
    assert outbox.claim_jobs(connection, 1) == []
    queue.redrive(connection, session_id)
    (again,) = outbox.claim_jobs(connection, 1)
    assert (again.session_id, again.attempts, again.epoch) == (session_id, 1, 0)


@pytest.mark.parametrize("status", [JobStatus.PROCESSING, JobStatus.ENQUEUED, JobStatus.FAILED])
def test_only_a_pending_row_is_redriven(connection: Connection, status: JobStatus) -> None:
    session_id = bridge_session(connection)
    if status is JobStatus.FAILED:
        outbox.close_job(connection, session_id, "refused")
    else:
        jobs = outbox.claim_jobs(connection, 1)
        if status is JobStatus.ENQUEUED:
            outbox.mark_enqueued(connection, {jobs[0]: uuid4()})
    before = job_row(connection, session_id)
    with pytest.raises(BadInput, match=f"SESSION_ID.*{session_id}.*must have a pending row; it is {status}"):
        queue.redrive(connection, session_id)
    assert job_row(connection, session_id) == before


def test_an_unknown_session_has_no_row_to_redrive(connection: Connection) -> None:
    with pytest.raises(NotFound, match="vcfolio outbox list"):
        queue.redrive(connection, uuid4())


def test_a_redriven_row_wakes_whoever_listens(engine: Engine) -> None:
    with transaction(engine) as conn:
        session_id = bridge_session(conn)
    with engine.connect() as listener:
        listener.execute(text(f"LISTEN {outbox.CHANNEL}"))
        listener.commit()
        with transaction(engine) as conn:
            queue.redrive(conn, session_id)
        driver = listener.connection.driver_connection
        assert driver is not None
        assert len(list(driver.notifies(timeout=30, stop_after=1))) == 1


def test_waiting_sessions_are_counted_no_further_than_asked(connection: Connection) -> None:
    for _ in range(5):
        bridge_session(connection)
    session_at(connection, SessionStatus.MATRIX_GENERATING)
    assert [queue.count_waiting(connection, most) for most in (1, 3, 5, 100)] == [1, 3, 5, 5]


def test_connected_bridges_are_seen_by_their_name(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    # One bridge has several connections; a listener and other programs are none.
    names = [f"{BRIDGE} one/1", f"{BRIDGE} one/1", f"{BRIDGE} two/7", "vcfolio listener vcfolio_outbox", "vcfolio"]
    others = [make_engine(url, application_name=name) for name in names]
    connections = [other.connect() for other in others]
    try:
        with transaction(engine) as conn:
            assert queue.queue_figures(conn, BRIDGE).bridges == 2
    finally:
        for one in connections:
            one.close()
        for other in others:
            other.dispose()


def test_a_transaction_that_is_open_for_too_long_is_named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own clock cannot be moved, so the time that counts as long is made short."""
    other = make_engine(engine.url.render_as_string(hide_password=False), application_name="someone's notebook")
    with other.connect() as idle:
        idle.execute(text("SELECT 1"))
        with transaction(engine) as conn:
            assert queue.queue_figures(conn, BRIDGE).long_transactions == ()
        monkeypatch.setattr(queue, "LONG_TRANSACTION_S", 0)
        with transaction(engine) as conn:
            names = [name for name, seconds in queue.queue_figures(conn, BRIDGE).long_transactions if seconds > 0]
        assert names == ["someone's notebook", "vcfolio"]
    other.dispose()
