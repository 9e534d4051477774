from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from core.session_states import SessionStatus
from db import outbox, rescue, session_rows, sessions
from db.engine import transaction
from db.outbox import ClaimedJob, ReturnedJob
from db.tables.outbox import JobStatus
from tests.db.store.examples import bridge_session, inline_session, race


def _claim(conn: Connection) -> ClaimedJob:
    (job,) = outbox.claim_jobs(conn, 1)
    return job


def _row(conn: Connection, session_id: UUID) -> dict[str, object]:
    columns = text(
        "SELECT *, extract(epoch FROM next_run_at - now()) AS due_in_s FROM job_outbox WHERE session_id = :id"
    )
    return dict(conn.execute(columns, {"id": session_id}).mappings().one())


def _make_due(conn: Connection) -> None:
    conn.execute(text("UPDATE job_outbox SET next_run_at = now()"))


def _make_stuck(conn: Connection) -> None:
    conn.execute(text("UPDATE job_outbox SET processing_at = now() - interval '301 s' WHERE status = 'processing'"))


def _after(conn: Connection, attempts: int) -> ClaimedJob:
    """The claim of a session's row for that attempt, the earlier ones having failed."""
    bridge_session(conn)
    for _ in range(attempts - 1):
        outbox.fail_claim(conn, _claim(conn), "refused")
        _make_due(conn)
    return _claim(conn)


def test_a_claim_takes_what_is_due_and_the_longest_due_first(connection: Connection) -> None:
    late, early, not_due = (bridge_session(connection) for _ in range(3))
    inline_session(connection)
    for session_id, due_in_s in ((late, -1), (early, -2), (not_due, 60)):
        connection.execute(
            text("UPDATE job_outbox SET next_run_at = now() + make_interval(secs => :s) WHERE session_id = :id"),
            {"s": due_in_s, "id": session_id},
        )
    jobs = outbox.claim_jobs(connection, 10)
    assert [job.session_id for job in jobs] == [early, late]
    assert [(job.attempts, job.epoch, job.max_attempts) for job in jobs] == [(1, 0, 3)] * 2
    assert outbox.claim_jobs(connection, 10) == []


def test_a_claim_takes_no_more_than_its_limit(connection: Connection) -> None:
    for _ in range(5):
        bridge_session(connection)
    assert [len(outbox.claim_jobs(connection, 2)) for _ in range(4)] == [2, 2, 1, 0]


def test_concurrent_claims_share_the_rows_and_none_waits_for_another(engine: Engine) -> None:
    with transaction(engine) as conn:
        ids = {bridge_session(conn) for _ in range(40)}
    claims = race(engine, 4, lambda conn, _number: outbox.claim_jobs(conn, 10))
    claimed = [job.session_id for jobs in claims for job in jobs]
    assert len(claimed) == len(set(claimed))
    with transaction(engine) as conn:
        claimed += [job.session_id for job in outbox.claim_jobs(conn, 40)]
    assert sorted(claimed) == sorted(ids)


def test_a_locked_row_is_passed_over(engine: Engine) -> None:
    with transaction(engine) as conn:
        first, second = bridge_session(conn), bridge_session(conn)
    with transaction(engine) as holder:
        holder.execute(text("SELECT FROM job_outbox WHERE session_id = :id FOR UPDATE"), {"id": first})
        with transaction(engine) as conn:
            assert [job.session_id for job in outbox.claim_jobs(conn, 10)] == [second]


def test_an_enqueued_row_knows_its_flow_run(connection: Connection) -> None:
    session_id = bridge_session(connection)
    flow_run_id = uuid4()
    assert outbox.mark_enqueued(connection, {_claim(connection): flow_run_id}) == {session_id}
    row = _row(connection, session_id)
    assert (row["status"], row["flow_run_id"], row["claim_id"]) == ("enqueued", flow_run_id, None)


def test_a_released_claim_costs_no_attempt(connection: Connection) -> None:
    session_id = bridge_session(connection)
    assert outbox.release_claims(connection, [_claim(connection)]) == {session_id}
    row = _row(connection, session_id)
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert _claim(connection).session_id == session_id


@pytest.mark.parametrize(("attempts", "backoff_s"), [(1, 2), (2, 4)])
def test_a_failed_attempt_is_repeated_after_a_growing_time(
    connection: Connection, attempts: int, backoff_s: int
) -> None:
    job = _after(connection, attempts)
    assert outbox.fail_claim(connection, job, "refused") is JobStatus.PENDING
    row = _row(connection, job.session_id)
    assert (row["due_in_s"], row["last_error"], row["error_reason"]) == (backoff_s, "refused", None)


def test_no_backoff_exceeds_five_minutes(connection: Connection) -> None:
    bridge_session(connection)
    connection.execute(text("UPDATE job_outbox SET attempts = 1499, max_attempts = 2000"))
    job = _claim(connection)
    connection.execute(text("UPDATE job_outbox SET attempts = 1000"))
    outbox.fail_claim(connection, job, "refused")
    assert _row(connection, job.session_id)["due_in_s"] == 300


def test_the_last_failed_attempt_fails_row_and_session(connection: Connection) -> None:
    job = _after(connection, 3)
    assert outbox.fail_claim(connection, job, "refused") is JobStatus.FAILED
    row = _row(connection, job.session_id)
    assert (row["status"], row["error_reason"], row["attempts"]) == ("failed", "refused", 3)
    session = sessions.load_session(connection, job.session_id)
    assert (session.status, session.error_code, session.error_reason) == (
        SessionStatus.FAILED,
        "enqueue_failed",
        "refused",
    )


@pytest.mark.parametrize("lost_by", ["reaper", "cancel"])
def test_a_bridge_that_lost_its_claim_changes_nothing(connection: Connection, lost_by: str) -> None:
    session_id = bridge_session(connection)
    job = _claim(connection)
    if lost_by == "reaper":
        _make_stuck(connection)
        outbox.reset_stuck(connection, 300)
        _claim(connection)
    else:
        sessions.cancel(connection, session_id, "by the user")
    before = _row(connection, session_id)
    assert outbox.mark_enqueued(connection, {job: uuid4()}) == set()
    assert outbox.release_claims(connection, [job]) == set()
    assert outbox.fail_claim(connection, job, "refused") is None
    assert _row(connection, session_id) == before


def test_stuck_claims_are_given_back_and_fresh_ones_are_not(connection: Connection) -> None:
    stuck = bridge_session(connection)
    _claim(connection)
    _make_stuck(connection)
    bridge_session(connection)
    _claim(connection)
    assert outbox.reset_stuck(connection, 300) == [ReturnedJob(stuck, JobStatus.PENDING)]
    assert _claim(connection).session_id == stuck


def test_a_row_that_is_stuck_on_its_last_attempt_fails_with_its_session(connection: Connection) -> None:
    job = _after(connection, 3)
    _make_stuck(connection)
    assert outbox.reset_stuck(connection, 300) == [ReturnedJob(job.session_id, JobStatus.FAILED)]
    session = sessions.load_session(connection, job.session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "enqueue_failed")
    assert session.error_reason == "claimed, and not enqueued within 300 s"


def test_a_session_that_ended_otherwise_keeps_its_end(connection: Connection) -> None:
    job = _after(connection, 3)
    connection.execute(
        text("""
            UPDATE optimization_sessions SET status = 'FAILED', completed_at = now(),
              error_code = 'infeasible', error_reason = 'because' WHERE session_id = :id
        """),
        {"id": job.session_id},
    )
    outbox.fail_claim(connection, job, "refused")
    assert sessions.load_session(connection, job.session_id).error_code == "infeasible"


def test_a_session_that_a_run_holds_does_not_fail_with_its_row(connection: Connection) -> None:
    """The bridge died after Prefect had made the run, and before it was marked; the run has begun meanwhile."""
    job = _after(connection, 3)
    token = sessions.take_session(connection, job.session_id, 0, 45, "host:1")
    assert token is not None
    before = sessions.load_session(connection, job.session_id)
    _make_stuck(connection)
    assert outbox.reset_stuck(connection, 300) == [ReturnedJob(job.session_id, JobStatus.FAILED)]
    assert sessions.load_session(connection, job.session_id) == before
    # Should the run be lost as well, there is a way forward.
    assert sessions.release_lease(connection, session_rows.Fence(job.session_id, 0, token), count_failure=False)
    assert [orphan.session_id for orphan in rescue.orphaned_sessions(connection, 10)] == [job.session_id]


def test_many_reapers_give_a_row_back_once(engine: Engine) -> None:
    with transaction(engine) as conn:
        bridge_session(conn)
        _claim(conn)
        _make_stuck(conn)
    returned = race(engine, 4, lambda conn, _number: outbox.reset_stuck(conn, 300))
    assert sorted(len(jobs) for jobs in returned) == [0, 0, 0, 1]


def test_cancelling_and_failing_a_claim_at_once_do_not_deadlock(engine: Engine) -> None:
    for _ in range(5):
        with transaction(engine) as conn:
            job = _after(conn, 3)

        def act(conn: Connection, number: int, job: ClaimedJob = job) -> bool:
            if number == 0:
                return sessions.cancel(conn, job.session_id, "by the user")
            return outbox.fail_claim(conn, job, "refused") is not None

        assert sorted(race(engine, 2, act)) == [False, True]


def test_a_row_may_be_put_off(connection: Connection) -> None:
    session_id = bridge_session(connection)
    outbox.put_job(connection, session_id, 1, JobStatus.PENDING, delay_s=2.0)
    row = _row(connection, session_id)
    assert (row["status"], row["epoch"], row["due_in_s"], row["attempts"]) == ("pending", 1, 2, 0)
    assert outbox.claim_jobs(connection, 1) == []
