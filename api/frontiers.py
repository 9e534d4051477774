"""Stored frontiers as the API and the page show them: solved by the stack, answered for by any API process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from db.frontiers import FrontierRow
from db.tables.frontiers import FrontierStatus

Status = Literal["waiting", "running", "done", "failed"]

_STATUS: Mapping[FrontierStatus, Status] = {
    FrontierStatus.REQUESTED: "waiting",
    FrontierStatus.SOLVING: "running",
    FrontierStatus.COMPLETED: "done",
    FrontierStatus.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class FrontierState:
    """solved, of: points; those that others ruled out count at the end.

    document: as in the documentation of frontiers, once it is done.
    """

    status: Status
    solved: int
    of: int
    document: Mapping[str, Any] | None
    error: str | None

    @classmethod
    def of_row(cls, row: FrontierRow) -> Self:
        of = len(row.variation.values)
        done = row.status is FrontierStatus.COMPLETED
        # A point that was repeated after a failure counted twice.
        return cls(_STATUS[row.status], of if done else min(row.solved, of), of, row.document, row.error_reason)
