"""Runs that are killed or interrupted, in every stage, and runs side by side: nothing is lost, nothing done twice."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from core.session_states import SessionStatus
from db.engine import transaction
from db.session_rows import SessionRow
from db.sessions import load_session
from deployments.local.prefect_server_process import ServerProcess
from tests.command_line import CommandLine, finish
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("campaign-cli")

EASY = {"maxLossProbability": 1, "cvarLimit": 1, "minExpectedWinners": 0}
LONG_STAGES: dict[str, dict[str, Any]] = {
    "REQUESTED": {},
    "MATRIX_GENERATING": {**EASY, "scenarioGenConfig": {"scenarioCount": 15_000, "companiesPerBucket": 300}},
    "OPTIMIZING": {
        "buckets": {"stages": ["Seed", "A", "B"], "sectors": ["AI", "Health", "Media", "Tech"]},
        "scenarioGenConfig": {"scenarioCount": 300},
        "maxLossProbability": 0.12,
        "cvarLimit": 0.3,
        "workLimit": 10_000,
    },
    "VALIDATING": {
        **EASY,
        "scenarioGenConfig": {"scenarioCount": 130, "companiesPerBucket": 300},
        "validationScenarios": 40_000,
    },
}
"""Requests that stay in a stage for long enough to be caught there."""

STORED = (
    *("matrix_started_at", "matrix_completed_at", "matrix_generation", "matrix_origin", "optimization_started_at"),
    *("optimization_completed_at", "allocation", "solver_metadata", "pass1_e_star", "validation_started_at"),
)
# Far longer than anybody waits: whoever resumes must not wait for a dead process's lease to run out.
LEASES = {"VCFOLIO_LEASE_S": "900", "VCFOLIO_GENERATION_LEASE_S": "900", "VCFOLIO_OWNERSHIP_CHECK_S": "0.1"}

Caught = Callable[..., tuple[subprocess.Popen[str], UUID]]


@pytest.fixture
def caught_in(processes: CommandLine, database: Engine, write: Callable[..., str]) -> Iterator[Caught]:
    """Starts a run and returns it, with its session, as soon as that is in the stage."""
    started: list[subprocess.Popen[str]] = []

    def start(stage: str, **variables: str) -> tuple[subprocess.Popen[str], UUID]:
        known = session_ids(database)
        # No other test's matrix is this one's.
        request = write(**LONG_STAGES[stage], taxonomyVersion=f"v{len(known)}")
        process = processes.start("run", request, "--json", **LEASES, **variables)
        started.append(process)

        def reached() -> bool:
            assert process.poll() is None, process.communicate()[1]
            return any(at_work_in(database, stage, new) for new in session_ids(database) - known)

        assert eventually(reached)
        (session_id,) = session_ids(database) - known
        return process, session_id

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def session_ids(database: Engine) -> set[UUID]:
    with transaction(database) as conn:
        return set(conn.scalars(text("SELECT session_id FROM optimization_sessions")))


def load(database: Engine, session_id: UUID) -> SessionRow:
    with transaction(database) as conn:
        return load_session(conn, session_id)


def rows(database: Engine, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with transaction(database) as conn:
        return [tuple(row) for row in conn.execute(text(statement), values)]


def at_work_in(database: Engine, stage: str, session_id: UUID) -> bool:
    generating = "SELECT FROM matrix_generations WHERE session_id = :id AND finished_at IS NULL"
    return load(database, session_id).status == stage and (
        stage != "MATRIX_GENERATING" or bool(rows(database, generating, id=session_id))
    )


def generations_of(database: Engine, session: SessionRow) -> list[tuple[Any, ...]]:
    statement = "SELECT outcome FROM matrix_generations WHERE matrix_key = :key ORDER BY generation"
    return rows(database, statement, key=session.matrix_key)


@pytest.mark.parametrize("stage", LONG_STAGES)
def test_a_run_killed_in_any_stage_is_finished_by_resume_without_repeating_what_is_stored(
    processes: CommandLine, database: Engine, caught_in: Caught, stage: str
) -> None:
    process, session_id = caught_in(stage)
    process.kill()
    process.communicate()
    before = load(database, session_id)
    assert before.status == stage
    sessions = session_ids(database)
    output, _ = processes.call("run", "--resume", str(session_id), "--json", **LEASES)
    assert (json.loads(output)["sessionId"], json.loads(output)["status"]) == (str(session_id), "COMPLETED")
    after = load(database, session_id)
    assert (after.status, after.epoch) == (SessionStatus.COMPLETED, 1)
    assert [name for name in STORED if getattr(before, name) not in (None, getattr(after, name))] == []
    assert session_ids(database) == sessions
    outbox = "SELECT status, epoch FROM job_outbox WHERE session_id = :id"
    assert rows(database, outbox, id=session_id) == [("enqueued", 1)]
    abandoned = [("abandoned",)] if stage == "MATRIX_GENERATING" else []
    assert generations_of(database, after) == [*abandoned, ("complete",)]


def test_a_run_killed_before_anything_is_stored_leaves_nothing(
    processes: CommandLine, database: Engine, write: Callable[..., str]
) -> None:
    known = session_ids(database)
    process = processes.start("run", write(), "--json")
    connected = "SELECT FROM pg_stat_activity WHERE application_name = 'vcfolio' AND pid <> ALL (:ours)"
    ours = [pid for (pid,) in rows(database, "SELECT pid FROM pg_stat_activity WHERE application_name = 'vcfolio'")]
    assert eventually(lambda: bool(rows(database, connected, ours=ours)))
    process.kill()
    process.communicate()
    assert session_ids(database) == known


@pytest.mark.parametrize("stage", ["MATRIX_GENERATING", "OPTIMIZING"])
def test_ctrl_c_says_how_to_resume_and_leaves_the_session_free_at_once(
    processes: CommandLine, database: Engine, caught_in: Caught, stage: str
) -> None:
    process, session_id = caught_in(stage)
    process.send_signal(signal.SIGINT)
    output, notes = finish(process, code=1)
    assert output == ""
    assert f"vcfolio run --resume {session_id}" in notes
    assert "Traceback" not in notes
    session = load(database, session_id)
    assert (session.status, session.lease_token) == (stage, None)
    leases = (
        "SELECT FROM matrix_generations WHERE matrix_key = :key AND finished_at IS NULL AND lease_expires_at > now()"
    )
    assert rows(database, leases, key=session.matrix_key) == []
    assert "no process runs it" in processes.call("status", str(session_id))[0]


def test_a_live_run_is_not_taken_over_by_resume(processes: CommandLine, database: Engine, caught_in: Caught) -> None:
    """Whoever resumes waits, and is given the other's answer."""
    process, session_id = caught_in("OPTIMIZING")
    output, _ = processes.call("run", "--resume", str(session_id), "--json", **LEASES)
    assert json.loads(output) == json.loads(finish(process)[0])
    assert load(database, session_id).epoch == 0


def test_two_runs_of_one_request_at_the_same_time_make_one_matrix(
    processes: CommandLine, database: Engine, write: Callable[..., str]
) -> None:
    request = write(**LONG_STAGES["MATRIX_GENERATING"], taxonomyVersion="two at once")
    both = [processes.start("run", request, "--json") for _ in range(2)]
    first, second = (json.loads(finish(process)[0]) for process in both)
    assert {first["matrixCache"], second["matrixCache"]} == {"generated", "hit"}
    assert first["allocation"] == second["allocation"]
    assert first["sessionId"] != second["sessionId"]
    assert generations_of(database, load(database, UUID(first["sessionId"]))) == [("complete",)]


def test_a_run_whose_prefect_server_is_killed_brings_its_answer_all_the_same(
    processes: CommandLine, database: Engine, caught_in: Caught
) -> None:
    """Prefect's own retries would only make the test longer."""
    process, session_id = caught_in("VALIDATING", PREFECT_CLIENT_MAX_RETRIES="0")
    recorded = ServerProcess.recorded(processes.home / "prefect")
    assert recorded is not None
    server = recorded.alive()
    assert server is not None
    server.kill()
    output, notes = finish(process)
    assert (json.loads(output)["sessionId"], json.loads(output)["status"]) == (str(session_id), "COMPLETED")
    assert "Prefect failed on the way" in notes
    assert "Traceback" not in notes
