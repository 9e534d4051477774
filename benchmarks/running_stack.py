"""`vcfolio up` on a temporary home, to measure the whole: asked as `vcfolio request` asks, timed by PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from sqlalchemy import Engine, text

from core.request import parse_request
from core.session_states import SessionStatus
from db.engine import make_engine, transaction
from db.funds import local_user_id
from db.requests import request_session
from db.session_rows import SessionRow
from db.sessions import load_session
from db.settings import Settings, child_environment
from deployments.local.embedded.locks import exclusively
from deployments.local.embedded.postgres import EmbeddedPostgres

VCFOLIO = "import sys; sys.argv[0] = 'vcfolio'; from deployments.cli.main import run; sys.exit(run())"
LOOK_S = 0.02
START_PATIENCE_S = 300.0
SETTINGS = Settings(home="/nowhere")


@dataclass(frozen=True, slots=True)
class RunningStack:
    process: subprocess.Popen[bytes]
    engine: Engine

    def ask(self, document: Mapping[str, Any]) -> UUID:
        """Stores a request; its session's id."""
        with transaction(self.engine) as conn:
            user = local_user_id(conn)
        request = parse_request(document)
        created = request_session(
            self.engine, SETTINGS, request, created_by=user, credential="benchmark", client_key=None
        )
        return created.session.session_id

    def session(self, session_id: UUID) -> SessionRow:
        with transaction(self.engine) as conn:
            return load_session(conn, session_id)

    def wait_until(self, session_id: UUID, condition: Callable[[SessionRow], bool]) -> SessionRow:
        """Raises where the session has ended without it."""
        while not condition(session := self.session(session_id)):
            if session.status.terminal:
                raise RuntimeError(f"session {session_id} is {session.status.value} before what was waited for")
            time.sleep(LOOK_S)
        return session

    def ended(self, session_ids: Sequence[UUID]) -> list[SessionRow]:
        """Once all of them have ended; raises for one that failed."""
        sessions = [self.wait_until(session_id, lambda session: session.status.terminal) for session_id in session_ids]
        for session in sessions:
            if session.status is not SessionStatus.COMPLETED:
                raise RuntimeError(f"session {session.session_id}: {session.error_code}: {session.error_reason}")
        return sessions

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with transaction(self.engine) as conn:
            return list(conn.execute(text(statement), values))

    def kill_worker_and_run(self, session: SessionRow) -> None:
        """As if their machine had died: the worker, what it forks from, and the run that holds the session's lease."""
        assert session.lease_owner is not None
        run = psutil.Process(int(session.lease_owner.split("/")[2]))
        worker = next(
            child for child in psutil.Process(self.process.pid).children() if child.cmdline()[-3:-2] == ["worker"]
        )
        for process in (worker, *worker.children(recursive=True), run):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def seconds(session: SessionRow) -> float:
    """From the request to its end, by the database's clock."""
    assert session.completed_at is not None
    return (session.completed_at - session.created_at).total_seconds()


@contextmanager
def running_stack() -> Iterator[RunningStack]:
    """All as configured by default, on PostgreSQL and Prefect servers of its own."""
    with tempfile.TemporaryDirectory(prefix="vcfolio-benchmark-") as directory:
        home = Path(directory)
        # Where root runs the benchmark, the database server's own account must be able to enter.
        home.chmod(0o711)
        log = home / "up.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", VCFOLIO, "up", "--only", "worker,maintenance,bridge"],
                env=child_environment({"VCFOLIO_HOME": str(home), "DATABASE_URL": "", "PREFECT_API_URL": ""}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=home,
            )
        try:
            _wait_for_ready(process, log)
            with EmbeddedPostgres(home) as postgres:
                engine = make_engine(postgres.url("vcfolio"))
                yield RunningStack(process, engine)
                engine.dispose()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
        with exclusively(postgres.root / "warden.lock"):
            pass


def _wait_for_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while "ready: worker" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the stack did not start:\n{log.read_text()}")
        time.sleep(LOOK_S)
