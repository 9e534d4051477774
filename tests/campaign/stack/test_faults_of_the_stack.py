"""Processes that are stopped, outlived and doubled in the running stack: no session is lost, none is done twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.session_states import SessionStatus
from tests.command_line import finish
from tests.system.stack.conftest import QUICK
from tests.system.stack.running import STOPPED_LEASE_S, Stack, cancel_in_prefect, stopped
from tests.system.stack.ten_at_once import ten_at_once
from tests.waiting import eventually

pytestmark = [pytest.mark.xdist_group("campaign-stack"), pytest.mark.usefixtures("made_whole")]


def test_a_run_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(stack: Stack, taxonomy: str) -> None:
    session_id = stack.request_caught("stop", taxonomyVersion=taxonomy)
    zombie = stack.solver_stopped(session_id)
    stack.advance_clock(STOPPED_LEASE_S)
    done = stack.wait_for(session_id)
    assert (done.status, done.epoch) == (SessionStatus.COMPLETED, 1)
    zombie.resume()
    assert eventually(lambda: not zombie.is_running())
    assert stack.session(session_id) == done
    assert stack.events(session_id) == ["rescued", "stale_write_refused"]


def test_cancel_in_prefect_reaches_a_run_that_outlives_its_worker(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = stack.request_caught("hold")
    runner = stack.runner_of(stack.solving(session_id))
    worker = stack.part("worker")
    worker.kill()
    assert eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert runner.is_running()
    (run,) = stack.flow_runs(session_id)
    cancel_in_prefect(stack, run["id"])
    session = stack.wait_for(session_id)
    assert (session.status, session.error_code, session.epoch) == (SessionStatus.FAILED, "cancelled", 0)
    assert eventually(lambda: not runner.is_running())
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    assert stack.events(session_id) == ["cancelled"]
    assert len(stack.flow_runs(session_id)) == 1


def test_cancel_in_prefect_ends_a_run_of_which_no_process_is_left(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = stack.request_caught("hold")
    runner = stack.runner_of(stack.solving(session_id))
    (run,) = stack.flow_runs(session_id)
    # Or it would find the session lost and put it on its way before it is cancelled.
    with stopped(stack.part("bridge")):
        stack.part("worker").kill()
        runner.kill()
        cancel_in_prefect(stack, run["id"])
    session = stack.wait_for(session_id)
    assert (session.status, session.error_code, session.epoch) == (SessionStatus.FAILED, "cancelled", 0)
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    assert stack.events(session_id) == ["cancelled"]
    assert len(stack.flow_runs(session_id)) == 1


def test_two_bridges_make_one_flow_run_for_each_session(stack: Stack, tmp_path: Path) -> None:
    """The second is stopped with claims in hand, and goes on when the first has done what came later."""
    log = tmp_path / "bridge.log"
    enqueued = "SELECT count(*) FROM job_outbox WHERE session_id = ANY (:ids) AND status = 'enqueued' AND epoch = 0"
    with log.open("w") as output, stopped(stack.part("bridge")):
        session_ids = [stack.request() for _ in range(3)]
        bridge = stack.command.start("bridge", **QUICK, VCFOLIO_FAULT="bridge.claimed=stop", output=output)
        second = psutil.Process(bridge.pid)
        assert eventually(lambda: second.status() == psutil.STATUS_STOPPED), log.read_text()
    try:
        session_ids += [stack.request() for _ in range(2)]
        assert eventually(lambda: stack.rows(enqueued, ids=session_ids) == [(2,)])
        second.resume()
        assert eventually(lambda: stack.rows(enqueued, ids=session_ids) == [(5,)])
    finally:
        second.resume()
        bridge.send_signal(signal.SIGINT)
        finish(bridge)
    assert log.read_text().count("is flow run") == 3
    for session_id in session_ids:
        session = stack.wait_for(session_id)
        assert (session.status, session.epoch) == (SessionStatus.COMPLETED, 0)
        assert len(stack.flow_runs(session_id)) == 1


def test_a_matrix_row_corrupted_is_rebuilt(stack: Stack, ask: Callable[..., str]) -> None:
    first = stack.wait_for(ask())
    stack.rows(
        "UPDATE scenario_matrices SET moic_matrix = overlay(moic_matrix PLACING '\\x00'::bytea FROM 20) "
        "WHERE matrix_key = :key",
        key=first.matrix_key,
    )
    again = stack.wait_for(ask())
    assert (again.status, again.allocation) == (SessionStatus.COMPLETED, first.allocation)
    assert (again.matrix_generation, again.matrix_origin) == (2, "generated")
    # What its run logs by Prefect's logger names the session as well.
    lines = [line for line in stack.log.read_text().splitlines() if str(again.session_id) in line]
    assert [json.loads(line)["epoch"] for line in lines if "generated again" in line] == [0]


def test_a_matrix_invalidated_while_prefect_remembers_it_is_made_anew(stack: Stack, ask: Callable[..., str]) -> None:
    first = stack.wait_for(ask())
    stack.command.call("matrix", "invalidate", first.matrix_key)
    again = stack.wait_for(ask())
    assert (again.status, again.allocation, again.matrix_generation) == (
        SessionStatus.COMPLETED,
        first.allocation,
        2,
    )


def test_a_session_survives_the_loss_of_every_connection_to_postgres(stack: Stack) -> None:
    session_id = stack.request_caught("stop")
    runner = stack.solver_stopped(session_id)
    stack.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
               " AND datname IN ('vcfolio', 'prefect')")  # fmt: skip
    runner.resume()
    session = stack.wait_for(session_id)
    assert (session.status, session.epoch) == (SessionStatus.COMPLETED, 0)
    assert stack.rows("SELECT count(*) FROM job_outbox WHERE session_id = :id", id=session_id) == [(1,)]


def test_round_after_round_of_ten_requests_at_once_all_complete(stack: Stack, request: pytest.FixtureRequest) -> None:
    for round_number in range(1, 1 + request.config.getoption("--stack-rounds")):
        ten_at_once(stack, round_number)
