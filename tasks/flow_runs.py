"""What a run of a session needs to know of flow runs, and who tells: Prefect, through `deployments/prefect`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from core.errors import VcfolioError


class RunState(StrEnum):
    """As much of a flow run's state as decides over its session."""

    SCHEDULED = "scheduled"
    BEGUN = "begun"
    """Pending or Running, which it also stays when its process was killed."""
    CANCELLED = "cancelled"
    """By a person: Cancelling or Cancelled, and not the `Superseded` of our own."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CancellingRun:
    """A person has requested its cancellation, and it has not ended. since: by the clock of Prefect's server."""

    flow_run_id: UUID
    since: datetime


class Rejected(VcfolioError):
    """Prefect answered, and will not make this flow run: the row's own fault."""

    code = "enqueue_rejected"


class FlowRuns(Protocol):
    """Raises Unavailable when Prefect cannot be asked."""

    def states(self, flow_run_ids: Sequence[UUID]) -> Mapping[UUID, RunState]:
        """Those that exist. An id that is missing in the answer is gone."""

    def cancelling(self) -> Sequence[CancellingRun]:
        """Of the flows that carry a session."""

    def mark_cancelled(self, flow_run_id: UUID, message: str) -> None:
        """The end of a run that is Cancelling. Raises Rejected when Prefect refuses it."""

    def mark_lost(self, flow_run_id: UUID, message: str) -> None:
        """Crashed, so that it holds no slot and no client waits for it."""
