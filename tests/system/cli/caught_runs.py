"""Runs of `vcfolio run` that are caught at a named place, and what the database says of their sessions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import Engine, text

from db.engine import transaction
from db.fault_points import FaultPoint
from db.session_rows import SessionRow
from db.sessions import load_session
from tests.command_line import CommandLine
from tests.waiting import eventually

# Far longer than anybody waits: whoever resumes must not wait for a dead process's lease to run out.
LEASES = {"VCFOLIO_LEASE_S": "900", "VCFOLIO_GENERATION_LEASE_S": "900", "VCFOLIO_OWNERSHIP_CHECK_S": "0.1"}

Caught = Callable[..., tuple[subprocess.Popen[str], UUID]]


@pytest.fixture
def caught(processes: CommandLine, database: Engine, write: Callable[..., str], taxonomy: str) -> Iterator[Caught]:
    """Starts a run of its own request, and returns it with its session when it is at the fault point: its process is
    stopped there, or (`hold`) held in its solver."""
    started: list[subprocess.Popen[str]] = []

    def start(fault: FaultPoint, action: str = "stop") -> tuple[subprocess.Popen[str], UUID]:
        request = write(taxonomyVersion=taxonomy)
        armed = {"VCFOLIO_HEARTBEAT_S": "0.2", "VCFOLIO_FAULT": f"{fault}={action}"}
        process = processes.start("run", request, "--json", **LEASES, **armed)
        started.append(process)

        def reached() -> bool:
            assert process.poll() is None, process.communicate()[1]
            if action == "stop":
                return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
            return any("step" in (load(database, one).progress or {}) for one in sessions_of(database, taxonomy))

        assert eventually(reached)
        (session_id,) = sessions_of(database, taxonomy)
        return process, session_id

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def sessions_of(database: Engine, taxonomy: str) -> list[UUID]:
    """Of the requests with this `taxonomyVersion`: other tests use the same database at the same time."""
    statement = "SELECT session_id FROM optimization_sessions WHERE request ->> 'taxonomyVersion' = :taxonomy"
    return [session_id for (session_id,) in rows(database, statement, taxonomy=taxonomy)]


def load(database: Engine, session_id: UUID) -> SessionRow:
    with transaction(database) as conn:
        return load_session(conn, session_id)


def rows(database: Engine, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with transaction(database) as conn:
        return [tuple(row) for row in conn.execute(text(statement), values)]


def is_finished_by_resume(processes: CommandLine, database: Engine, before: SessionRow) -> SessionRow:
    """Resumes the session of a run that was killed; what was stored by then is as it was."""
    stored = {column for column in STORED if getattr(before, column) is not None}
    output = processes.json("run", "--resume", str(before.session_id), "--json", **LEASES)
    assert (output["sessionId"], output["status"]) == (str(before.session_id), "COMPLETED")
    after = load(database, before.session_id)
    assert (after.status.value, after.epoch) == ("COMPLETED", 1)
    assert {column for column in stored if getattr(before, column) != getattr(after, column)} == set()
    outbox = "SELECT status, epoch FROM job_outbox WHERE session_id = :id"
    assert rows(database, outbox, id=before.session_id) == [("enqueued", 1)]
    return after


STORED = (
    *("matrix_started_at", "matrix_completed_at", "matrix_generation", "matrix_origin", "optimization_started_at"),
    *("optimization_completed_at", "allocation", "solver_metadata", "pass1_e_star", "validation_started_at"),
)
