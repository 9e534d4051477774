"""The other side of `tasks.flow_runs`: flow runs in memory, as far as a session's fate depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from core.errors import Unavailable
from db.outbox import ClaimedJob
from tasks.flow_runs import CancellingRun, Rejected, RunState


@dataclass
class FlowRunsInMemory:
    """Implements `deployments.bridge.bridge.FlowRunMaker`, with Prefect's rule that one key makes one run, for ever.

    away: why nothing can be asked. refused: why no run is made for these sessions. answer_lost: how many runs are still
    made without the answer reaching whoever asked. on_create: called before anything else is done.
    """

    states_by_id: dict[UUID, RunState] = field(default_factory=dict)
    runs_by_key: dict[str, UUID] = field(default_factory=dict)
    parameters: dict[UUID, tuple[UUID, int]] = field(default_factory=dict)
    cancelling_since: dict[UUID, datetime] = field(default_factory=dict)
    buried: list[UUID] = field(default_factory=list)
    asked_for: list[UUID] = field(default_factory=list)
    probes: int = 0
    away: str | None = None
    refused: dict[UUID, str] = field(default_factory=dict)
    answer_lost: int = 0
    on_create: Callable[[ClaimedJob], None] = lambda job: None

    def probe(self) -> None:
        self.probes += 1
        self._answer()

    def create(self, job: ClaimedJob, name: str) -> UUID:
        self.on_create(job)
        self._answer()
        if job.session_id in self.refused:
            raise Rejected(self.refused[job.session_id])
        key = f"{job.idempotency_key}:{job.epoch}"
        if key not in self.runs_by_key:
            run = self.runs_by_key[key] = self.add(RunState.SCHEDULED)
            self.parameters[run] = (UUID(job.payload["session_id"]), job.payload["epoch"])
        if self.answer_lost:
            self.answer_lost -= 1
            raise Unavailable("the answer did not come in time")
        return self.runs_by_key[key]

    def states(self, flow_run_ids: Sequence[UUID]) -> Mapping[UUID, RunState]:
        self._answer()
        self.asked_for.extend(flow_run_ids)
        return {run: self.states_by_id[run] for run in flow_run_ids if run in self.states_by_id}

    def mark_lost(self, flow_run_id: UUID, message: str) -> None:
        self._answer()
        self.buried.append(flow_run_id)
        self.states_by_id[flow_run_id] = RunState.ENDED

    def cancelling(self) -> Sequence[CancellingRun]:
        self._answer()
        return [CancellingRun(run, since) for run, since in self.cancelling_since.items()]

    def mark_cancelled(self, flow_run_id: UUID, message: str) -> None:
        self._answer()
        del self.cancelling_since[flow_run_id]

    def ask_to_cancel(self, flow_run_id: UUID, since: datetime) -> None:
        """As a person does in Prefect's page."""
        self.states_by_id[flow_run_id] = RunState.CANCELLED
        self.cancelling_since[flow_run_id] = since

    def add(self, state: RunState) -> UUID:
        """A run in that state, made by somebody else."""
        run = uuid4()
        self.states_by_id[run] = state
        return run

    @contextmanager
    def opened(self) -> Iterator[FlowRunsInMemory]:
        """As the bridge opens its connection to Prefect."""
        yield self

    def _answer(self) -> None:
        if self.away is not None:
            raise Unavailable(self.away)
