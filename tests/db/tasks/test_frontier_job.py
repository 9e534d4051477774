"""A stored frontier from its request to its end, against PostgreSQL: solved once, by one run at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from core.errors import BadInput, Cancelled, Superseded, TooManyWaiting
from core.frontier.variation import parse_variation
from db import frontiers, outbox
from db.bootstrap import prepare_database
from db.engine import transaction
from db.fault_points import armed
from db.frontier_requests import request_frontier
from db.frontiers import FrontierFence
from db.funds import local_user_id
from db.sessions import load_session
from db.settings import Settings
from db.tables.frontiers import FrontierStatus
from db.tables.outbox import JobStatus, JobType
from tasks import frontier_job
from tasks.cancelling import CANCELLED_IN_PREFECT, propagate_cancellations
from tasks.cleaning import DAY_S, clean_up
from tasks.flow_runs import RunState
from tasks.reaping import reap
from tests.conftest import MakeTemplate, NewDatabase
from tests.db.frontiers import SETTINGS, ask, solve, stored, take
from tests.db.page.carried_out import carried_out
from tests.db.store.database_clock import advance_clock
from tests.db.store.examples import race
from tests.flow_runs import FlowRunsInMemory

TEMPLATE = "frontier_template"
VARY = "maxLossProbability=0.4:0.8:3"
FINER = "maxLossProbability=0.4:0.8:5"

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="tasks")


@pytest.fixture(scope="session")
def session_id(make_template: MakeTemplate) -> UUID:
    """A completed session, in the database that the others are cloned from."""

    def fill(engine: Engine) -> str:
        prepare_database(engine)
        return str(carried_out(engine))

    return UUID(make_template(TEMPLATE, fill))


@pytest.fixture
def engine(new_database: NewDatabase, session_id: UUID) -> Iterator[Engine]:
    with new_database(TEMPLATE) as engine:
        yield engine


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The values for which the solver was called, in this order."""
    values: list[float] = []
    solve_point = frontier_job.solve_point

    def counted(value: float, *arguments: Any, **options: Any) -> Any:
        values.append(value)
        return solve_point(value, *arguments, **options)

    monkeypatch.setattr(frontier_job, "solve_point", counted)
    return values


def _outbox_row(engine: Engine, frontier_id: UUID) -> tuple[str, int]:
    with transaction(engine) as conn:
        statement = text("SELECT status, epoch FROM job_outbox WHERE frontier_id = :id")
        status, epoch = conn.execute(statement, {"id": frontier_id}).one()
    return status, epoch


def _enqueue(engine: Engine, flow_run_id: UUID) -> None:
    """As a bridge does, and a while ago."""
    with transaction(engine) as conn:
        jobs = [job for job in outbox.claim_jobs(conn, 10) if job.job_type is JobType.FRONTIER]
        assert outbox.mark_enqueued(conn, dict.fromkeys(jobs, flow_run_id)) == {job.subject_id for job in jobs}
        advance_clock(conn, 3.0)


class Died(Exception):
    """Stands for the end of a process, after what it has stored."""


def _die() -> None:
    raise Died


# Asked for, and solved


def test_many_that_ask_at_once_are_given_one_job_with_one_outbox_row(engine: Engine, session_id: UUID) -> None:
    variation = parse_variation([VARY])

    def submit(conn: Connection, _number: int) -> UUID:
        session = load_session(conn, session_id)
        return request_frontier(conn, SETTINGS, session, variation, local_user_id(conn)).frontier_id

    (frontier_id,) = set(race(engine, 4, submit))
    assert _outbox_row(engine, frontier_id) == ("pending", 0)
    with transaction(engine) as conn:
        (job,) = outbox.claim_jobs(conn, 10)
    assert (job.job_type, job.subject_id, job.session_id) == (JobType.FRONTIER, frontier_id, session_id)
    assert job.payload == {"frontier_id": str(frontier_id), "epoch": 0}
    assert job.idempotency_key == f"frontier:{frontier_id}"


def test_it_is_solved_once_and_the_same_again_is_the_stored_one(
    engine: Engine, session_id: UUID, solved: list[float]
) -> None:
    frontier = ask(engine, session_id, VARY)
    solve(engine, take(engine, frontier))
    done = stored(engine, frontier.frontier_id)
    assert (done.status, done.solved, done.lease_token) == (FrontierStatus.COMPLETED, len(solved), None)
    assert done.document is not None
    assert [point["value"] for point in done.document["points"]] == [0.4, 0.6, 0.8]
    assert ask(engine, session_id, "maxLossProbability=0.8,0.6,0.4") == done
    assert len(solved) == 3


def test_a_finer_frontier_solves_only_the_points_between_and_equals_one_solved_from_nothing(
    engine: Engine, session_id: UUID, solved: list[float]
) -> None:
    coarse, fine = ask(engine, session_id, VARY), ask(engine, session_id, FINER)
    solve(engine, take(engine, coarse))
    solved.clear()
    solve(engine, take(engine, fine))
    assert sorted(solved) == [0.5, 0.7]
    document = stored(engine, fine.frontier_id).document
    with transaction(engine) as conn:
        conn.execute(text("DELETE FROM frontier_points"))
        conn.execute(text("DELETE FROM frontier_jobs"))
    solved.clear()
    again = ask(engine, session_id, FINER)
    solve(engine, take(engine, again))
    assert len(solved) == 5
    assert stored(engine, again.frontier_id).document == document


def test_a_run_that_dies_is_followed_by_one_that_begins_at_the_first_missing_point(
    engine: Engine, session_id: UUID, solved: list[float]
) -> None:
    frontier = ask(engine, session_id, VARY)
    with armed("frontier.point_stored", _die), pytest.raises(Died):
        solve(engine, take(engine, frontier))
    assert solved == [0.4]
    died = stored(engine, frontier.frontier_id)
    assert (died.status, died.solved) == (FrontierStatus.SOLVING, 1)
    with transaction(engine) as conn:
        advance_clock(conn, SETTINGS.lease_s + 1)
    assert reap(engine, SETTINGS, FlowRunsInMemory()).frontiers == 1
    assert _outbox_row(engine, frontier.frontier_id) == ("pending", 1)
    solve(engine, take(engine, frontier, epoch=1))
    assert sorted(solved) == [0.4, 0.6, 0.8]
    assert stored(engine, frontier.frontier_id).status is FrontierStatus.COMPLETED


def test_what_a_time_limit_cut_short_is_not_kept_as_a_point(engine: Engine, session_id: UUID) -> None:
    frontier = ask(engine, session_id, VARY)
    solve(engine, take(engine, frontier), Settings(home="/nowhere", solve_time_limit_s=1e-9))
    document = stored(engine, frontier.frontier_id).document
    assert document is not None
    with transaction(engine) as conn:
        kept = conn.scalars(text("SELECT value FROM frontier_points ORDER BY value")).all()
    assert kept == [point["value"] for point in document["points"] if point["reproducible"]]


# Owned by one run


def test_a_run_of_an_older_epoch_writes_nothing(engine: Engine, session_id: UUID) -> None:
    frontier = ask(engine, session_id, VARY)
    stale = take(engine, frontier)
    with transaction(engine) as conn:
        advance_clock(conn, SETTINGS.lease_s + 1)
    reap(engine, SETTINGS, FlowRunsInMemory())
    holder = take(engine, frontier, epoch=1)
    before = stored(engine, frontier.frontier_id)
    with transaction(engine) as conn:
        assert not frontiers.extend_frontier_lease(conn, stale, 45)
        assert not frontiers.count_point(conn, stale)
        assert not frontiers.complete_frontier(conn, stale, {})
        assert not frontiers.fail_frontier(conn, stale, "infeasible", "because")
        assert not frontiers.release_frontier(conn, stale)
        assert not frontiers.record_frontier_run(conn, stale, session_id)
        assert frontiers.take_frontier(conn, frontier.frontier_id, 0, 45, "test") is None
        assert frontiers.take_frontier(conn, frontier.frontier_id, 1, 45, "test") is None, "its lease is live"
    # Whichever it sees first: that its beat is refused, or its write.
    with pytest.raises((Superseded, Cancelled)):
        solve(engine, stale)
    assert stored(engine, frontier.frontier_id) == before
    with transaction(engine) as conn:
        assert conn.scalar(text("SELECT count(*) FROM frontier_points")) == 0
    solve(engine, holder)


def test_a_solve_whose_frontier_is_cancelled_ends_and_stores_nothing(
    engine: Engine, session_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    frontier = ask(engine, session_id, VARY)
    fence, solving = take(engine, frontier), threading.Event()

    def solve_until_told(*_arguments: Any, control: Any, **_options: Any) -> Any:
        """A solve as long as it takes: it asks whether to stop, as every solver does."""
        solving.set()
        while control.interrupted() is None:
            threading.Event().wait(0.001)
        assert control.interrupted() == "cancelled"
        raise Cancelled("told to stop")

    monkeypatch.setattr(frontier_job, "solve_point", solve_until_told)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(solve, engine, fence)
        assert solving.wait(60)
        with transaction(engine) as conn:
            assert frontiers.cancel_frontier(conn, frontier.frontier_id, "not wanted any more")
        with pytest.raises(Cancelled):
            running.result()
    ended = stored(engine, frontier.frontier_id)
    assert (ended.status, ended.error_code, ended.solved) == (FrontierStatus.FAILED, "cancelled", 0)


def test_cancelled_before_it_began_no_run_is_made_and_asked_for_again_it_is_a_new_epoch(
    engine: Engine, session_id: UUID
) -> None:
    frontier = ask(engine, session_id, VARY)
    with transaction(engine) as conn:
        assert frontiers.cancel_frontier(conn, frontier.frontier_id, "not wanted any more")
        assert not frontiers.cancel_frontier(conn, frontier.frontier_id, "again")
        assert outbox.claim_jobs(conn, 10) == []
    again = ask(engine, session_id, VARY)
    assert (again.frontier_id, again.epoch, again.status) == (frontier.frontier_id, 1, FrontierStatus.REQUESTED)
    assert _outbox_row(engine, frontier.frontier_id) == ("pending", 1)


def test_a_cancel_in_prefect_ends_the_frontier_of_that_run(engine: Engine, session_id: UUID) -> None:
    prefect = FlowRunsInMemory()
    frontier, run = ask(engine, session_id, VARY), prefect.add(RunState.SCHEDULED)
    _enqueue(engine, run)
    with transaction(engine) as conn:
        prefect.ask_to_cancel(run, conn.execute(text("SELECT now()")).scalar_one())
    propagate_cancellations(engine, SETTINGS, prefect)
    ended = stored(engine, frontier.frontier_id)
    assert (ended.error_code, ended.error_reason) == ("cancelled", CANCELLED_IN_PREFECT)


# Lost, and put back on its way


@pytest.mark.parametrize(("state", "goes_on"), [(RunState.SCHEDULED, False), (RunState.ENDED, True), (None, True)])
def test_a_frontier_whose_run_never_took_it_is_begun_again_once_that_run_is_over(
    engine: Engine, session_id: UUID, state: RunState | None, goes_on: bool
) -> None:
    prefect = FlowRunsInMemory()
    frontier = ask(engine, session_id, VARY)
    _enqueue(engine, session_id if state is None else prefect.add(state))
    assert reap(engine, SETTINGS, prefect).frontiers == int(goes_on)
    assert stored(engine, frontier.frontier_id).epoch == int(goes_on)
    assert _outbox_row(engine, frontier.frontier_id) == (("pending", 1) if goes_on else ("enqueued", 0))


def test_a_run_that_has_begun_is_given_time_to_take_it(engine: Engine, session_id: UUID) -> None:
    prefect = FlowRunsInMemory()
    frontier, run = ask(engine, session_id, VARY), prefect.add(RunState.BEGUN)
    _enqueue(engine, run)
    assert reap(engine, SETTINGS, prefect).frontiers == 0
    with transaction(engine) as conn:
        advance_clock(conn, SETTINGS.begun_patience_s + 1)
    assert reap(engine, SETTINGS, prefect).frontiers == 1
    assert stored(engine, frontier.frontier_id).epoch == 1
    assert prefect.buried == [run]


def test_without_an_outbox_row_it_is_given_one(engine: Engine, session_id: UUID) -> None:
    frontier = ask(engine, session_id, VARY)
    with transaction(engine) as conn:
        conn.execute(text("DELETE FROM job_outbox"))
    reap(engine, SETTINGS, FlowRunsInMemory())
    assert _outbox_row(engine, frontier.frontier_id) == ("pending", 1)


def test_one_whose_lease_ran_out_too_often_fails(engine: Engine, session_id: UUID) -> None:
    settings = Settings(home="/nowhere", max_epochs=2)
    frontier = ask(engine, session_id, VARY)
    for epoch in (0, 1):
        take(engine, frontier, epoch)
        with transaction(engine) as conn:
            advance_clock(conn, settings.lease_s + 1)
        assert reap(engine, settings, FlowRunsInMemory()).frontiers == 1
    ended = stored(engine, frontier.frontier_id)
    assert (ended.status, ended.error_code) == (FrontierStatus.FAILED, "lost_too_often")
    assert _outbox_row(engine, frontier.frontier_id)[0] == "failed"


def test_a_row_out_of_attempts_fails_its_frontier(engine: Engine, session_id: UUID) -> None:
    frontier = ask(engine, session_id, VARY)
    with transaction(engine) as conn:
        for status in (JobStatus.PENDING, JobStatus.PENDING, JobStatus.FAILED):
            conn.execute(text("UPDATE job_outbox SET next_run_at = now()"))
            (job,) = outbox.claim_jobs(conn, 1)
            assert outbox.fail_claim(conn, job, "refused") is status
    assert stored(engine, frontier.frontier_id).error_code == outbox.ENQUEUE_FAILED


def test_a_claim_that_its_bridge_did_not_finish_is_taken_back(engine: Engine, session_id: UUID) -> None:
    frontier = ask(engine, session_id, VARY)
    with transaction(engine) as conn:
        outbox.claim_jobs(conn, 1)
        advance_clock(conn, SETTINGS.stuck_after_s + 1)
    assert reap(engine, SETTINGS, FlowRunsInMemory()).claims_taken_back == 1
    assert _outbox_row(engine, frontier.frontier_id) == ("pending", 0)


# Refused, and cleaned up


def test_values_that_no_request_may_have_are_refused_and_nothing_is_stored(engine: Engine, session_id: UUID) -> None:
    with pytest.raises(BadInput, match=r"cvarLimit = 1\.5"):
        ask(engine, session_id, "cvarLimit=0.5:1.5:3")
    crowded = Settings(home="/nowhere", max_waiting_sessions=1)
    ask(engine, session_id, VARY, crowded)
    with pytest.raises(TooManyWaiting, match="frontiers are waiting to begin"):
        ask(engine, session_id, FINER, crowded)
    with transaction(engine) as conn:
        assert conn.scalar(text("SELECT count(*) FROM frontier_jobs")) == 1


def test_old_rows_and_points_go_the_frontier_stays_and_keeps_its_matrix_while_it_is_active(
    engine: Engine, session_id: UUID
) -> None:
    done, active = ask(engine, session_id, VARY), ask(engine, session_id, FINER)
    solve(engine, take(engine, done))
    with transaction(engine) as conn:
        advance_clock(conn, 400 * DAY_S)
    report = clean_up(engine, SETTINGS)
    # Among the rows is the session's own.
    assert (report.matrices, report.jobs, report.points) == (0, 2, 3)
    assert stored(engine, done.frontier_id).document is not None
    assert _outbox_row(engine, active.frontier_id) == ("pending", 0)
    with transaction(engine) as conn:
        frontiers.cancel_frontier(conn, active.frontier_id, "not wanted any more")
    assert clean_up(engine, SETTINGS).matrices == 1


def test_a_fence_is_of_one_frontier(engine: Engine, session_id: UUID) -> None:
    one, other = ask(engine, session_id, VARY), ask(engine, session_id, FINER)
    fence = take(engine, one)
    with transaction(engine) as conn:
        assert not frontiers.count_point(conn, FrontierFence(other.frontier_id, 0, fence.lease_token))
