"""What a test does with the product: ask for a session, run its flow, look at what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import numpy as np
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from sqlalchemy import Engine, text

from core.request import parse_request
from core.request.normalized_config import NormalizedConfig
from core.result.build import allocation_of
from core.session_states import SessionStatus
from db.engine import transaction
from db.funds import local_user_id
from db.requests import submit_request
from db.session_rows import Fence, SessionRow
from db.sessions import load_session, reopen, start_matrix, start_optimizing, store_allocation, take_session
from deployments.prefect.flush import flush_to_server
from flows.optimize_session import optimize_session
from tasks.process_owner import lease_owner
from tests.small_request import SMALL
from tests.task_names import task_of

LEASE_S = 45.0
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Product:
    """taxonomy: names the test's own matrices, so that Prefect's cache knows none of them from another test."""

    engine: Engine
    taxonomy: str

    def ask(self, **changes: Any) -> Fence:
        """A new session of an inline run."""
        request = parse_request({**SMALL, "taxonomyVersion": self.taxonomy, **changes})
        with transaction(self.engine) as conn:
            created = submit_request(
                conn,
                request,
                created_by=local_user_id(conn),
                credential="test",
                driver="inline",
                lease_s=LEASE_S,
                lease_owner=lease_owner(),
            )
        assert created.lease_token is not None
        return Fence(created.session.session_id, 0, created.lease_token)

    def run(self, fence: Fence) -> State[Any]:
        return optimize_session(fence.session_id, fence.epoch, fence.lease_token, return_state=True)

    def start(self, session_id: UUID, epoch: int) -> State[Any]:
        """As a worker starts it, without a lease."""
        return optimize_session(session_id, epoch, return_state=True)

    def completed(self, **changes: Any) -> SessionRow:
        """A new session, carried to its end."""
        fence = self.ask(**changes)
        state = self.run(fence)
        assert state.name == "Completed", state
        return self.session(fence)

    def again(self, fence: Fence) -> Fence:
        """The session, taken for a new epoch by whoever resumes it."""
        with transaction(self.engine) as conn:
            epoch = reopen(conn, fence.session_id, fence.epoch, force=True)
            assert epoch is not None
            token = take_session(conn, fence.session_id, epoch, LEASE_S, lease_owner())
        assert token is not None
        return Fence(fence.session_id, epoch, token)

    def bring_to(self, fence: Fence, status: SessionStatus, example: SessionRow) -> list[dict[str, Any]] | None:
        """The session advanced by hand, with what a completed one of the same request has stored.

        Returns the allocation, if one is stored by then: not the optimum, so that nobody can come by it by solving.
        """
        with transaction(self.engine) as conn:
            assert start_matrix(conn, fence)
            if status is SessionStatus.MATRIX_GENERATING:
                return None
            assert start_optimizing(conn, fence, example.matrix_generation, "hit")
            if status is SessionStatus.OPTIMIZING:
                return None
            config = NormalizedConfig.model_validate(example.normalized_config)
            holdings = allocation_of(config, np.array([0.1, 0.2, 0.3, 0.4]))
            allocation = [holding.as_json() for holding in holdings]
            assert store_allocation(
                conn,
                fence,
                allocation=allocation,
                solver_metadata=example.solver_metadata,
                pass1_e_star=example.pass1_e_star,
                primary_lock_epsilon=example.primary_lock_epsilon,
            )
        return allocation

    def session(self, fence: Fence) -> SessionRow:
        with transaction(self.engine) as conn:
            return load_session(conn, fence.session_id)

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for what a flow does; the patience is for a failure, not for timing."""
        deadline = monotonic() + PATIENCE_S
        while not condition():
            assert monotonic() < deadline
            sleep(0.01)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Does what nobody but a test may do; returns the rows, if there are any."""
        with transaction(self.engine) as conn:
            result = conn.execute(text(statement), values)
            return list(result) if result.returns_rows else []


def task_states(flow_run_id: UUID | None, *tasks: str) -> dict[str, list[str]]:
    """For each task of the flow run, the names of the states that its runs ended in."""
    assert flow_run_id is not None
    wanted = set(tasks)
    only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    flush_to_server()
    deadline = monotonic() + PATIENCE_S
    with get_client(sync_client=True) as client:
        while True:
            # The server takes note of a task run some moments after it has ended.
            runs = client.read_task_runs(flow_run_filter=only)
            ended = {task_of(run.name) for run in runs if run.state is not None and run.state.is_final()}
            if wanted <= ended:
                break
            assert monotonic() < deadline, f"only {ended} of {wanted} are on record"
    states: dict[str, list[str]] = {}
    for run in runs:
        states.setdefault(task_of(run.name), []).append(run.state.name)
    return states


@contextmanager
def in_background(work: Any, *arguments: Any) -> Iterator[Future[Any]]:
    """Runs beside the block, with the same Prefect settings; the block's end waits for it."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(copy_context().run, work, *arguments)
