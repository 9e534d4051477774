"""Processes killed, stopped and cut off in the running stack: no session is lost, none is done twice."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from core.session_states import SessionStatus
from tests.asked import HARD
from tests.system.cli.command import finish
from tests.system.stack.conftest import QUICK
from tests.system.stack.running import LONG_SOLVE, Stack, stopped
from tests.waiting import eventually

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.usefixtures("made_whole")]


def test_a_run_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(
    stack: Stack, ask: Callable[..., str]
) -> None:
    session_id = ask(**LONG_SOLVE)
    zombie = stack.runner_of(stack.solving(session_id))
    with stopped(zombie):
        done = stack.wait_for(session_id)
        assert (done.status, done.epoch) == (SessionStatus.COMPLETED, 1)
    assert eventually(lambda: not zombie.is_running())
    assert stack.session(session_id) == done
    assert stack.events(session_id) == ["rescued", "stale_write_refused"]


def test_cancel_stops_a_running_solve_and_its_run(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = ask(**HARD)
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
    session_id = ask(**HARD)
    runner = stack.runner_of(stack.solving(session_id))
    (run,) = stack.flow_runs(session_id)
    _cancel_in_prefect(stack, run["id"])
    session = stack.wait_for(session_id)
    assert (session.status, session.error_code) == (SessionStatus.FAILED, "cancelled")
    assert eventually(lambda: not runner.is_running())
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    assert len(stack.flow_runs(session_id)) == 1


def _cancel_in_prefect(stack: Stack, run_id: str) -> None:
    """As its page does."""
    stack.prefect("POST", f"/flow_runs/{run_id}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})


def test_cancel_in_prefect_reaches_a_run_that_outlives_its_worker(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = ask(**HARD)
    runner = stack.runner_of(stack.solving(session_id))
    worker = stack.part("worker")
    worker.kill()
    assert eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert runner.is_running()
    (run,) = stack.flow_runs(session_id)
    _cancel_in_prefect(stack, run["id"])
    session = stack.wait_for(session_id)
    assert (session.status, session.error_code, session.epoch) == (SessionStatus.FAILED, "cancelled", 0)
    assert eventually(lambda: not runner.is_running())
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    assert stack.events(session_id) == ["cancelled"]
    assert len(stack.flow_runs(session_id)) == 1


def test_cancel_in_prefect_ends_a_run_of_which_no_process_is_left(stack: Stack, ask: Callable[..., str]) -> None:
    session_id = ask(**HARD)
    runner = stack.runner_of(stack.solving(session_id))
    (run,) = stack.flow_runs(session_id)
    # Or it would find the session lost and put it on its way before it is cancelled.
    with stopped(stack.part("bridge")):
        stack.part("worker").kill()
        runner.kill()
        _cancel_in_prefect(stack, run["id"])
    session = stack.wait_for(session_id)
    assert (session.status, session.error_code, session.epoch) == (SessionStatus.FAILED, "cancelled", 0)
    assert eventually(lambda: stack.flow_run(run["id"])["state_name"] == "Cancelled")
    assert stack.events(session_id) == ["cancelled"]
    assert len(stack.flow_runs(session_id)) == 1


def test_a_worker_killed_with_its_run_is_started_again_and_the_session_is_finished(
    stack: Stack, ask: Callable[..., str]
) -> None:
    session_id = ask(**LONG_SOLVE)
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


@pytest.mark.parametrize("fault", ["terminated connections", "immediate restart"])
def test_a_session_survives_what_happens_to_postgres(stack: Stack, ask: Callable[..., str], fault: str) -> None:
    session_id = ask(**LONG_SOLVE)
    stack.solving(session_id)
    if fault == "terminated connections":
        stack.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                   " AND datname IN ('vcfolio', 'prefect')")  # fmt: skip
    else:
        _restart_at_once(stack)
    assert stack.wait_for(session_id).status is SessionStatus.COMPLETED
    assert stack.rows("SELECT count(*) FROM job_outbox WHERE session_id = :id", id=session_id) == [(1,)]


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
    assert [json.loads(line)["epoch"] for line in lines if "generated anew" in line] == [0]


def test_a_matrix_invalidated_while_prefect_remembers_it_is_made_anew(stack: Stack, ask: Callable[..., str]) -> None:
    first = stack.wait_for(ask())
    stack.command.call("matrix", "invalidate", first.matrix_key)
    again = stack.wait_for(ask())
    assert (again.status, again.allocation, again.matrix_generation) == (
        SessionStatus.COMPLETED,
        first.allocation,
        2,
    )


def test_ten_requests_at_once_with_the_same_and_different_keys_all_complete(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    """Half of each round shares one matrix, each of the others has its own."""
    for round_number in range(request.config.getoption("--stack-rounds")):
        worlds = [f"round {round_number} world {max(0, number - 4)}" for number in range(10)]
        with ThreadPoolExecutor(len(worlds)) as pool:
            session_ids = list(pool.map(lambda world: stack.request(taxonomyVersion=world), worlds))
        sessions = [stack.wait_for(session_id) for session_id in session_ids]
        assert {session.status for session in sessions} == {SessionStatus.COMPLETED}
        keys = list({session.matrix_key for session in sessions})
        assert len(keys) == 6
        counted = "SELECT outcome, count(*) FROM matrix_generations WHERE matrix_key = ANY (:keys) GROUP BY outcome"
        assert stack.rows(counted, keys=keys) == [("complete", 6)]
        assert sum(session.matrix_origin == "generated" for session in sessions) == 6
        assert all(len(stack.flow_runs(session_id)) == 1 for session_id in session_ids)
