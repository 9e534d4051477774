"""Runs that are killed or interrupted in the stages that the shorter tests leave out, and runs side by side."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import Engine

from db.fault_points import FaultPoint
from db.session_rows import SessionRow
from deployments.local.prefect_server_process import ServerProcess
from tests.command_line import CommandLine, finish
from tests.system.cli.caught_runs import LEASES, Caught, is_finished_by_resume, load, rows, sessions_of
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("campaign-cli")

LONG_GENERATION: dict[str, Any] = {
    "maxLossProbability": 1,
    "cvarLimit": 1,
    "minExpectedWinners": 0,
    "scenarioGenConfig": {"scenarioCount": 15_000, "companiesPerBucket": 300},
}
"""A matrix so large that a process can be met while it simulates."""


def generations_of(database: Engine, session: SessionRow) -> list[str]:
    statement = "SELECT outcome FROM matrix_generations WHERE matrix_key = :key ORDER BY generation"
    return [outcome for (outcome,) in rows(database, statement, key=session.matrix_key)]


@pytest.mark.parametrize(
    ("fault", "stage", "generations"),
    [
        ("create.after_commit", "REQUESTED", ["complete"]),
        ("matrix.simulated", "MATRIX_GENERATING", ["abandoned", "complete"]),
        ("validate.before_transition", "VALIDATING", ["complete"]),
    ],
)
def test_a_run_killed_in_any_stage_is_finished_by_resume_without_repeating_what_is_stored(
    processes: CommandLine, database: Engine, caught: Caught, fault: FaultPoint, stage: str, generations: list[str]
) -> None:
    process, session_id = caught(fault)
    process.kill()
    process.communicate()
    before = load(database, session_id)
    assert before.status == stage
    after = is_finished_by_resume(processes, database, before)
    assert generations_of(database, after) == generations


def test_a_run_killed_before_anything_is_stored_leaves_nothing(
    processes: CommandLine, database: Engine, write: Callable[..., str], taxonomy: str
) -> None:
    request = write(taxonomyVersion=taxonomy)
    process = processes.start("run", request, "--json", VCFOLIO_FAULT="create.before_commit=kill")
    assert finish(process, -signal.SIGKILL)[0] == ""
    assert sessions_of(database, taxonomy) == []


def test_ctrl_c_while_the_matrix_is_simulated_leaves_session_and_matrix_free_at_once(
    processes: CommandLine, database: Engine, write: Callable[..., str], taxonomy: str
) -> None:
    request = write(**LONG_GENERATION, taxonomyVersion=taxonomy)
    process = processes.start("run", request, "--json", **LEASES)
    generating = (
        "SELECT FROM matrix_generations g JOIN optimization_sessions s ON s.session_id = g.session_id "
        "WHERE s.request ->> 'taxonomyVersion' = :taxonomy AND finished_at IS NULL"
    )
    assert eventually(lambda: bool(rows(database, generating, taxonomy=taxonomy)))
    process.send_signal(signal.SIGINT)
    output, notes = finish(process, code=1)
    assert output == ""
    (session_id,) = sessions_of(database, taxonomy)
    assert f"vcfolio run --resume {session_id}" in notes
    assert "Traceback" not in notes
    session = load(database, session_id)
    assert (session.status, session.lease_token) == ("MATRIX_GENERATING", None)
    assert rows(database, f"{generating} AND g.lease_expires_at > now()", taxonomy=taxonomy) == []
    assert "no process runs it" in processes.call("status", str(session_id))[0]


def test_a_live_run_is_not_taken_over_by_resume(processes: CommandLine, database: Engine, caught: Caught) -> None:
    """Whoever resumes waits, and is given the other's answer."""
    process, session_id = caught("optimize.solving")
    resuming = processes.start("run", "--resume", str(session_id), "--json", **LEASES)
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'vcfolio' AND pid <> ALL (:ours)"
    ours = [pid for (pid,) in rows(database, waiting.replace("SELECT", "SELECT pid"), ours=[])]
    assert eventually(lambda: bool(rows(database, waiting, ours=ours)))
    os.kill(process.pid, signal.SIGCONT)
    answer = json.loads(finish(process)[0])
    assert json.loads(finish(resuming)[0]) == answer
    assert load(database, session_id).epoch == 0


def test_two_runs_of_one_request_at_the_same_time_make_one_matrix(
    processes: CommandLine, database: Engine, write: Callable[..., str], taxonomy: str
) -> None:
    request = write(**LONG_GENERATION, taxonomyVersion=taxonomy)
    both = [processes.start("run", request, "--json") for _ in range(2)]
    first, second = (json.loads(finish(process)[0]) for process in both)
    assert {first["matrixCache"], second["matrixCache"]} == {"generated", "hit"}
    assert first["allocation"] == second["allocation"]
    assert first["sessionId"] != second["sessionId"]
    assert generations_of(database, load(database, UUID(first["sessionId"]))) == ["complete"]


def test_a_run_whose_prefect_server_is_killed_brings_its_answer_all_the_same(
    alone: CommandLine, write: Callable[..., str]
) -> None:
    """On a home of its own. Prefect's own retries would only make the test longer."""
    stopped = {"VCFOLIO_FAULT": "validate.before_transition=stop", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    process = alone.start("run", write(), "--json", **stopped)
    assert eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    recorded = ServerProcess.recorded(alone.home / "prefect")
    assert recorded is not None
    server = recorded.alive()
    assert server is not None
    server.kill()
    os.kill(process.pid, signal.SIGCONT)
    output, notes = finish(process)
    assert json.loads(output)["status"] == "COMPLETED"
    assert "Prefect failed on the way" in notes
    assert "Traceback" not in notes
