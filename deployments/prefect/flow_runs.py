"""Flow runs in Prefect: made for outbox rows, asked after for the reaper. The one place that speaks to its API so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelled, Crashed, Scheduled

from core.errors import Unavailable
from db.outbox import ClaimedJob
from db.tables.outbox import JobType
from tasks.flow_runs import CancellingRun, Rejected, RunState

OPTIMIZE_SESSION = "optimize-session/optimize-session"
SOLVE_FRONTIER = "solve-frontier/solve-frontier"
DEPLOYMENT_OF = {JobType.SESSION: OPTIMIZE_SESSION, JobType.FRONTIER: SOLVE_FRONTIER}
CARRY_A_JOB = ["optimize-session", "request-optimization", "solve-frontier"]
"""The flows that carry a session or a stored frontier."""
SUPERSEDED = "Superseded"

BATCH = 200
TRY_AGAIN = (408, 425, 429)


class PrefectFlowRuns:
    """Implements `tasks.flow_runs.FlowRuns`; usable from several threads."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self._deployment_ids: dict[JobType, UUID] = {}

    def probe(self) -> None:
        """Raises Unavailable unless Prefect answers and knows the deployments."""
        self._deployment_ids = {job_type: self._deployment_id(name) for job_type, name in DEPLOYMENT_OF.items()}

    def create(self, job: ClaimedJob, name: str) -> UUID:
        """The flow run of this row and epoch: made now, or the one that an earlier attempt has made.

        It is due when its row was claimed: by the clock of this host, if that is fast, it would begin too late.

        Raises Unavailable when Prefect cannot be reached or has lost the deployment, Rejected when it refuses.
        """
        if job.job_type not in self._deployment_ids:
            self.probe()
        with _mapped():
            try:
                run = self._client.create_flow_run_from_deployment(
                    self._deployment_ids[job.job_type],
                    parameters=job.payload,
                    state=Scheduled(scheduled_time=job.claimed_at),
                    name=name,
                    idempotency_key=f"{job.idempotency_key}:{job.epoch}",
                )
            except ObjectNotFound:
                self._deployment_ids = {}
                raise Unavailable(
                    f"Prefect does not know the deployment {DEPLOYMENT_OF[job.job_type]} any more"
                ) from None
        return run.id

    def _deployment_id(self, name: str) -> UUID:
        with _mapped():
            try:
                return self._client.read_deployment_by_name(name).id
            except ObjectNotFound:
                raise Unavailable(f"Prefect does not know the deployment {name}") from None

    def states(self, flow_run_ids: Sequence[UUID]) -> Mapping[UUID, RunState]:
        found: dict[UUID, RunState] = {}
        for start in range(0, len(flow_run_ids), BATCH):
            ids = list(flow_run_ids[start : start + BATCH])
            with _mapped():
                runs = self._client.read_flow_runs(
                    flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=ids)), limit=BATCH
                )
            found |= {run.id: _state_of(run) for run in runs}
        return found

    def cancelling(self) -> Sequence[CancellingRun]:
        """Up to 200 of them; they are few, and each ends within the minute."""
        with _mapped():
            runs = self._client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=CARRY_A_JOB)),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING]))
                ),
                limit=BATCH,
            )
        return [CancellingRun(run.id, run.state.timestamp) for run in runs if run.state is not None]

    def mark_cancelled(self, flow_run_id: UUID, message: str) -> None:
        self._end(flow_run_id, Cancelled(message=message))

    def mark_lost(self, flow_run_id: UUID, message: str) -> None:
        self._end(flow_run_id, Crashed(message=message))

    def _end(self, flow_run_id: UUID, state: State[Any]) -> None:
        with _mapped(), suppress(ObjectNotFound):
            self._client.set_flow_run_state(flow_run_id, state, force=True)


@contextmanager
def open_flow_runs() -> Iterator[PrefectFlowRuns]:
    """Speaks to the server of PREFECT_API_URL."""
    with get_client(sync_client=True) as client:
        yield PrefectFlowRuns(client)


def _state_of(run: FlowRun) -> RunState:
    state = run.state
    if state is None or state.is_scheduled() or state.is_paused():
        return RunState.SCHEDULED
    if state.type in (StateType.CANCELLING, StateType.CANCELLED) and state.name != SUPERSEDED:
        return RunState.CANCELLED
    return RunState.ENDED if state.is_final() else RunState.BEGUN


@contextmanager
def _mapped() -> Iterator[None]:
    """What httpx and Prefect raise, in our words."""
    try:
        yield
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
        if status >= 500 or status in TRY_AGAIN:
            raise Unavailable(f"Prefect answered {status}: {_detail(error)}") from error
        raise Rejected(f"Prefect answered {status}: {_detail(error)}") from error
    except (httpx.HTTPError, OSError) as error:
        raise Unavailable(f"Prefect cannot be reached: {type(error).__name__}: {error}") from error


def _detail(error: PrefectHTTPStatusError) -> str:
    return error.response.text[:500]
