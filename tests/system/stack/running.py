"""The running stack, as the tests look at it and lay hands on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import httpx
import psutil
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from core.errors import Unavailable
from core.frontier.variation import parse_variation
from core.request import parse_request
from core.session_states import SessionStatus
from db.engine import transaction
from db.events import events_of
from db.fault_points import FaultPoint
from db.frontier_requests import request_frontier
from db.funds import local_user_id
from db.requests import request_session
from db.session_rows import SessionRow
from db.sessions import cancel, load_session
from db.settings import Settings
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.prefect_server import auth_string
from deployments.local.prefect_server_process import ServerProcess
from tests.db.store.database_clock import advance_clock
from tests.small_request import SMALL
from tests.task_names import task_of
from tests.waiting import eventually

PATIENCE_S = 240.0
STOPPED_LEASE_S = 3600


@dataclass(frozen=True)
class Stack:
    command: Any
    process: subprocess.Popen[str]
    engine: Engine
    postgres: EmbeddedPostgres
    log: Path
    metrics_port: int

    # What it is asked.

    def request(self, **changes: Any) -> str:
        """As `vcfolio request` does it, without the start of a process: the id of a new session."""
        request = parse_request(SMALL | changes)
        with transaction(self.engine) as conn:
            user = local_user_id(conn)
        created = request_session(
            self.engine, Settings(home="/nowhere"), request, created_by=user, credential="test", client_key=None
        )
        return str(created.session.session_id)

    def request_caught(self, action: Literal["hold", "stop"], **changes: Any) -> str:
        """The id of a new session whose run will be caught when its solver has begun: it is held there until it is
        cancelled or lost, or its process is stopped."""
        with stopped(self.part("bridge")):
            session_id = self.request(**changes)
            self.run_with_fault(session_id, "optimize.solving", action)
        return session_id

    def request_frontier(self, session_id: str, vary: str) -> str:
        """As the API stores it: the id of a new frontier."""
        with transaction(self.engine) as conn:
            session = load_session(conn, UUID(session_id))
            frontier = request_frontier(
                conn, Settings(home="/nowhere"), session, parse_variation([vary]), session.created_by
            )
        return str(frontier.frontier_id)

    def run_with_fault(
        self, session_id: str, fault: FaultPoint, action: Literal["kill", "hold", "stop"] = "kill"
    ) -> str:
        """The flow run that the bridge would make, with the fault armed in its process; the bridge must be stopped.

        When the bridge goes on it is given this very run, since the idempotency key is the same. The lease of a run
        that is to be stopped outlasts every test, so that none depends on being quick: a test that wants it to end
        says `advance_clock(STOPPED_LEASE_S)`.
        """
        armed = {"VCFOLIO_FAULT": f"{fault}={action}"}
        lease = {"VCFOLIO_LEASE_S": str(STOPPED_LEASE_S)} if action == "stop" else {}
        return self._run_in("optimize-session", "optimization_session", "session_id", session_id, armed | lease)

    def frontier_run_with_fault(self, frontier_id: str, fault: FaultPoint) -> str:
        """As `run_with_fault`, for a frontier."""
        armed = {"VCFOLIO_FAULT": f"{fault}=kill"}
        return self._run_in("solve-frontier", "frontier", "frontier_id", frontier_id, armed)

    def _run_in(self, flow: str, job_type: str, parameter: str, subject: str, environment: dict[str, str]) -> str:
        deployment = self.prefect("GET", f"/deployments/name/{flow}/{flow}")
        run = self.prefect(
            "POST",
            f"/deployments/{deployment['id']}/create_flow_run",
            parameters={parameter: subject, "epoch": 0},
            idempotency_key=f"{job_type}:{subject}:0",
            job_variables={"env": environment},
        )
        return str(run["id"])

    def advance_clock(self, seconds: float) -> None:
        """So much time, as the database tells it."""
        with transaction(self.engine) as conn:
            advance_clock(conn, seconds)

    # What the database says.

    def session(self, session_id: str) -> SessionRow:
        with transaction(self.engine) as conn:
            return load_session(conn, UUID(session_id))

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with transaction(self.engine) as conn:
            result = conn.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def events(self, session_id: str) -> list[str]:
        with transaction(self.engine) as conn:
            return [event.kind.value for event in events_of(conn, UUID(session_id))]

    def wait_for(self, session_id: str, *statuses: SessionStatus) -> SessionRow:
        """The session, once it is in one of these; its end by default."""
        wanted = statuses or (SessionStatus.COMPLETED, SessionStatus.FAILED)
        return self.wait_until(session_id, lambda session: session.status in wanted)

    def wait_until(self, session_id: str, condition: Any) -> SessionRow:
        seen: list[SessionRow] = []

        def reached() -> bool:
            with suppress(Unavailable):
                seen.append(self.session(session_id))
                return bool(condition(seen[-1]))
            return False

        assert eventually(reached, PATIENCE_S), (seen[-1:], self.log.read_text()[-5000:])
        return seen[-1]

    def solving(self, session_id: str) -> SessionRow:
        """The session, once its solver has begun."""
        return self.wait_until(
            session_id,
            lambda session: session.status is SessionStatus.OPTIMIZING and "step" in (session.progress or {}),
        )

    def solver_stopped(self, session_id: str) -> psutil.Process:
        """The process of the session's run, once it has stopped in its solver. It has not told of any step then."""
        process = self.runner_of(self.wait_for(session_id, SessionStatus.OPTIMIZING))
        assert eventually(lambda: process.status() == psutil.STATUS_STOPPED, PATIENCE_S)
        return process

    def end_all(self) -> None:
        """Cancels what a failed test may have left."""
        active = "SELECT session_id FROM optimization_sessions WHERE status NOT IN ('COMPLETED', 'FAILED')"
        for (session_id,) in self.rows(active):
            with transaction(self.engine) as conn:
                cancel(conn, session_id, "the test is over")

    # Its processes.

    def runner_of(self, session: SessionRow) -> psutil.Process:
        """The process that holds the lease."""
        assert session.lease_owner is not None
        return psutil.Process(int(session.lease_owner.split("/")[2]))

    def part(self, *arguments: str) -> psutil.Process:
        """The child of `up` that was started with these arguments."""
        (found,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if child.status() != psutil.STATUS_ZOMBIE
            and child.cmdline()[-len(arguments) - 2 : -2] == list(arguments)
            and "deployments.cli" in child.cmdline()
        ]
        return found

    @property
    def server(self) -> psutil.Process:
        recorded = ServerProcess.recorded(self.command.home / "prefect")
        assert recorded is not None
        process = recorded.alive()
        assert process is not None
        return process

    def metric(self, name: str) -> float:
        """The sum of the samples of this family, as the bridge tells it now."""
        answer = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", trust_env=False)
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        return sum(sample.value for sample in families[name].samples if not sample.name.endswith("_created"))

    # What Prefect says.

    @property
    def prefect_url(self) -> str:
        recorded = ServerProcess.recorded(self.command.home / "prefect")
        assert recorded is not None
        return recorded.api_url

    @property
    def prefect_login(self) -> tuple[str, str]:
        """User and password that the server asks for."""
        user, _, password = auth_string(self.command.home / "prefect").partition(":")
        return user, password

    def prefect(self, method: str, path: str, **json: Any) -> Any:
        return self._prefect(method, path, json or None)

    def _prefect(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.prefect_url}{path}"
        answer = httpx.request(method, url, json=body, auth=self.prefect_login, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @contextmanager
    def schedule(self, deployment_id: str, interval_s: float) -> Iterator[None]:
        """One more schedule of the deployment, while the block lasts."""
        path = f"/deployments/{deployment_id}/schedules"
        (added,) = self._prefect("POST", path, [{"active": True, "schedule": {"interval": interval_s}}])
        try:
            yield
        finally:
            self._prefect("DELETE", f"{path}/{added['id']}")

    def flow_runs(self, session_id: str) -> list[dict[str, Any]]:
        """All that were ever made for the session, oldest first."""
        runs: list[dict[str, Any]] = []
        while page := self.prefect("POST", "/flow_runs/filter", sort="START_TIME_ASC", offset=len(runs)):
            runs += page
        return [run for run in runs if run["parameters"].get("session_id") == session_id]

    def flow_run(self, flow_run_id: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.prefect("GET", f"/flow_runs/{flow_run_id}")
        return found

    def task_runs(self, flow_run_id: Any) -> dict[str, list[str]]:
        """State names of each task, in the order of their beginning."""
        runs = self.prefect("POST", "/task_runs/filter", flow_runs={"id": {"any_": [str(flow_run_id)]}})
        states: dict[str, list[str]] = {}
        for run in sorted(runs, key=lambda run: run["start_time"] or ""):
            states.setdefault(task_of(run["name"]), []).append(run["state_name"])
        return states

    def artifacts(self, flow_run_id: Any) -> dict[str, dict[str, Any]]:
        """By key; the progress bar has none of its own and is `progress` here."""
        found = self.prefect("POST", "/artifacts/filter", flow_runs={"id": {"any_": [str(flow_run_id)]}})
        return {artifact["key"] or artifact["type"]: artifact for artifact in found}


def cancel_in_prefect(stack: Stack, run_id: str) -> None:
    """As its page does."""
    stack.prefect("POST", f"/flow_runs/{run_id}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP for as long as the block lasts."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()
