"""Processes killed, stopped and cut off in the running stack: no session is lost, none is done twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.session_states import SessionStatus
from tests.system.stack.running import Stack, cancel_in_prefect, stopped
from tests.system.stack.ten_at_once import ten_at_once
from tests.waiting import eventually

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.usefixtures("made_whole")]


def test_cancel_stops_a_running_solve_and_its_run(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = stack.request_caught("hold")
    runner = stack.runner_of(stack.solving(session_id))
    stack.command.call("cancel", session_id, "--reason", "the partners changed their minds")
    assert eventually(lambda: not runner.is_running())
    session = stack.session(session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "cancelled")
    assert session.error_reason == "the partners changed their minds"
    assert session.allocation is None
    (run,) = stack.flow_runs(session_id)
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    lines = [json.loads(line) for line in stack.log.read_text().splitlines() if session_id in line]
    assert {line.get("stage") for line in lines if line["logger"] == "prefect.task_runs"} == {"optimize"}
    _, notes = stack.command.call("cancel", session_id, code=2)
    assert "FAILED" in notes


def test_cancel_in_prefect_ends_the_session(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = stack.request_caught("hold")
    runner = stack.runner_of(stack.solving(session_id))
    (run,) = stack.flow_runs(session_id)
    cancel_in_prefect(stack, run["id"])
    session = stack.wait_for(session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "cancelled")
    assert eventually(lambda: not runner.is_running())
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    assert len(stack.flow_runs(session_id)) == 1


def test_a_worker_killed_with_its_run_is_started_again_and_the_session_is_finished(
    stack: Stack, ask: Callable[..., str]
) -> None:
    session_id = stack.request_caught("hold")
    runner = stack.runner_of(stack.solving(session_id))
    stack.part("worker").kill()
    runner.kill()
    assert stack.wait_for(session_id).status is SessionStatus.COMPLETED
    assert "worker ended with signal 9; it is restarted" in stack.log.read_text()


def test_a_bridge_killed_loses_nothing(stack: Stack, ask: Callable[..., str]) -> None:
    stack.part("bridge").kill()
    session_ids = [ask(), ask()]
    for session_id in session_ids:
        assert stack.wait_for(session_id).status is SessionStatus.COMPLETED
        assert len(stack.flow_runs(session_id)) == 1


def test_while_the_prefect_server_is_down_nothing_is_lost_and_no_attempt_is_burnt(
    stack: Stack, ask: Callable[..., str], request: pytest.FixtureRequest
) -> None:
    """For as long as `--outage-s` says, and at least until the bridge has asked twice in vain whether it is back."""
    failed, ((began,),) = stack.metric("vcfolio_probes_failed"), stack.rows("SELECT clock_timestamp()")
    lasts = timedelta(seconds=request.config.getoption("--outage-s"))
    with stopped(stack.server):
        said = len(stack.log.read_text())
        session_ids = [ask(), ask()]
        # The bridge has waited for its first request in vain, and given the claims back.
        assert eventually(lambda: "nothing is enqueued until Prefect answers" in stack.log.read_text()[said:])
        waiting = "SELECT count(*) FROM job_outbox WHERE session_id = ANY (:ids) AND status = 'pending'"
        assert eventually(lambda: stack.rows(waiting, ids=session_ids) == [(2,)])
        assert eventually(lambda: stack.metric("vcfolio_probes_failed") >= failed + 2)
        assert eventually(lambda: stack.rows("SELECT clock_timestamp()")[0][0] >= began + lasts)
        assert stack.metric("vcfolio_circuit_open") == 1
        assert stack.rows(waiting, ids=session_ids) == [(2,)]
        assert {stack.session(session_id).status for session_id in session_ids} == {SessionStatus.REQUESTED}
    for session_id in session_ids:
        session = stack.wait_for(session_id)
        assert (session.status, session.epoch) == (SessionStatus.COMPLETED, 0)
        # The server may have made it after the bridge had given it up.
        assert len(stack.flow_runs(session_id)) == 1
    attempts = "SELECT max(attempts), max(epoch) FROM job_outbox WHERE session_id = ANY (:ids)"
    assert stack.rows(attempts, ids=session_ids) == [(1, 0)]


def test_a_prefect_server_killed_is_started_again_at_its_address(stack: Stack, ask: Callable[..., str]) -> None:
    address, server = stack.prefect_url, stack.server
    server.kill()
    session_id = ask()
    assert stack.wait_for(session_id).status is SessionStatus.COMPLETED
    assert stack.prefect_url == address
    assert "the Prefect server died and is restarted" in stack.log.read_text()


def _restart_at_once(stack: Stack) -> None:
    """As `pg_ctl stop -m immediate` does, which is a crash; the stack starts the server again."""
    pid = int((stack.postgres.root / "cluster" / "data" / "postmaster.pid").read_text().split()[0])
    subprocess.run(["kill", "-QUIT", str(pid)], check=True)

    def answers() -> bool:
        try:
            with stack.engine.connect() as conn:
                return conn.scalar(text("SELECT pg_postmaster_start_time() > now() - interval '1 minute'")) is True
        except Exception:
            return False

    assert eventually(answers)
    stack.engine.dispose()


def test_a_session_survives_an_immediate_restart_of_postgres(stack: Stack) -> None:
    session_id = stack.request_caught("stop")
    runner = stack.solver_stopped(session_id)
    _restart_at_once(stack)
    runner.resume()
    session = stack.wait_for(session_id)
    assert (session.status, session.epoch) == (SessionStatus.COMPLETED, 0)
    assert stack.rows("SELECT count(*) FROM job_outbox WHERE session_id = :id", id=session_id) == [(1,)]


def test_ten_requests_at_once_with_the_same_and_different_keys_all_complete(stack: Stack) -> None:
    ten_at_once(stack, 0)
