"""A run that is killed and one that is interrupted while it solves: nothing is lost, and it is finished by resume."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from uuid import UUID

import psutil
import pytest
from sqlalchemy import Engine, text

from core.session_states import SessionStatus
from db.engine import transaction
from db.session_rows import SessionRow
from db.sessions import load_session
from tests.command_line import CommandLine, finish
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("cli")

# Far longer than anybody waits: whoever resumes must not wait for a dead process's lease to run out.
LEASES = {"VCFOLIO_LEASE_S": "900", "VCFOLIO_GENERATION_LEASE_S": "900", "VCFOLIO_OWNERSHIP_CHECK_S": "0.1"}
STORED = ("matrix_started_at", "matrix_completed_at", "matrix_generation", "matrix_origin", "optimization_started_at")

Solving = Callable[[str], tuple[subprocess.Popen[str], UUID]]


@pytest.fixture
def solving(processes: CommandLine, database: Engine, write: Callable[..., str], taxonomy: str) -> Iterator[Solving]:
    """Starts a run and returns it, with its session, when its solver has begun; there it is stopped, or held."""
    started: list[subprocess.Popen[str]] = []

    def start(action: str) -> tuple[subprocess.Popen[str], UUID]:
        known = _session_ids(database)
        request = write(taxonomyVersion=taxonomy)
        fault = f"optimize.solving={action}"
        process = processes.start("run", request, "--json", **LEASES, VCFOLIO_HEARTBEAT_S="0.2", VCFOLIO_FAULT=fault)
        started.append(process)

        def reached() -> bool:
            assert process.poll() is None, process.communicate()[1]
            if action == "stop":
                return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
            new = _session_ids(database) - known
            return any("step" in (_load(database, session_id).progress or {}) for session_id in new)

        assert eventually(reached)
        (session_id,) = _session_ids(database) - known
        return process, session_id

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _session_ids(database: Engine) -> set[UUID]:
    with transaction(database) as conn:
        return set(conn.scalars(text("SELECT session_id FROM optimization_sessions")))


def _load(database: Engine, session_id: UUID) -> SessionRow:
    with transaction(database) as conn:
        return load_session(conn, session_id)


def test_a_run_killed_while_it_solves_is_finished_by_resume_without_repeating_what_is_stored(
    processes: CommandLine, database: Engine, solving: Solving
) -> None:
    process, session_id = solving("stop")
    process.kill()
    process.communicate()
    before = _load(database, session_id)
    assert before.status is SessionStatus.OPTIMIZING
    output, _ = processes.call("run", "--resume", str(session_id), "--json", **LEASES)
    assert (json.loads(output)["sessionId"], json.loads(output)["status"]) == (str(session_id), "COMPLETED")
    after = _load(database, session_id)
    assert (after.status, after.epoch) == (SessionStatus.COMPLETED, 1)
    assert [getattr(after, name) for name in STORED] == [getattr(before, name) for name in STORED]
    with transaction(database) as conn:
        jobs = conn.execute(text("SELECT status, epoch FROM job_outbox WHERE session_id = :id"), {"id": session_id})
        assert [tuple(job) for job in jobs] == [("enqueued", 1)]


def test_ctrl_c_says_how_to_resume_and_leaves_the_session_free_at_once(
    processes: CommandLine, database: Engine, solving: Solving
) -> None:
    process, session_id = solving("hold")
    process.send_signal(signal.SIGINT)
    output, notes = finish(process, code=1)
    assert output == ""
    assert f"vcfolio run --resume {session_id}" in notes
    assert "Traceback" not in notes
    session = _load(database, session_id)
    assert (session.status, session.lease_token) == (SessionStatus.OPTIMIZING, None)
    assert "no process runs it" in processes.call("status", str(session_id))[0]
