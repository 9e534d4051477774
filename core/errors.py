"""One tree of errors. Each has a stable `code`, says whether trying again can help, and names field, value and rule.

They are mapped once, at the edge: `BadInput` to exit code 2 or HTTP 4xx, the others to exit code 1 or HTTP 409/5xx,
`Superseded` to a flow-run state of that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class VcfolioError(Exception):
    """Root of every error that vcfolio raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with the input: where, what was there, and the rule it breaks."""

    field: str
    value: object
    rule: str

    def __str__(self) -> str:
        shown = repr(self.value)
        return f"{self.field} = {shown if len(shown) <= 120 else shown[:117] + '...'}: {self.rule}"


class BadInput(VcfolioError):
    """The user's input breaks a rule. Lists every problem found, not only the first."""

    code = "bad_input"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[BadInput], tuple[tuple[FieldProblem, ...]]]:
        """From another process it comes back with its problems."""
        return type(self), (self.problems,)

    @classmethod
    def of(cls, field: str, value: object, rule: str) -> BadInput:
        return cls([FieldProblem(field, value, rule)])


class NotFound(BadInput):
    """A name or id in the input refers to nothing that exists."""

    code = "not_found"


class Conflict(BadInput):
    """The input contradicts what is already stored (an immutable version, a spent idempotency key)."""

    code = "conflict"


class TooManyWaiting(VcfolioError):
    """The queue is full; nothing is stored. To be tried again after `retry_after_s` seconds."""

    code = "too_many_waiting"

    def __init__(self, waiting: int, retry_after_s: float, what: str = "sessions") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            f"the queue is full: {waiting} {what} are waiting to begin; try again in {retry_after_s:.0f} seconds"
        )


class CorruptMatrix(VcfolioError):
    """Stored matrix bytes do not decode to the values that were recorded."""

    code = "corrupt_matrix"


class InvalidAllocation(VcfolioError):
    """A stored allocation is not what its own limits allow, or does not belong to its session's buckets."""

    code = "invalid_allocation"


class Infeasible(VcfolioError):
    """No portfolio satisfies the constraints and relaxation is off. Names the constraints that conflict."""

    code = "infeasible"


class NoAnswerWithinLimit(VcfolioError):
    """The work limit struck before any strictly feasible portfolio was found."""

    code = "no_answer_within_limit"


class SolverFailed(VcfolioError):
    """The solver returned a status that says neither optimal, infeasible nor limit reached."""

    code = "solver_failed"


class Cancelled(VcfolioError):
    """A running computation was told to stop: the session was cancelled or its lease was lost."""

    code = "cancelled"


class Superseded(VcfolioError):
    """Another attempt owns the session now; this one writes nothing more."""

    code = "superseded"


class MatrixFailed(VcfolioError):
    """The matrix a session waits for could not be generated."""

    code = "matrix_failed"


class InvalidTransition(VcfolioError):
    """A session was asked to move along an edge that its state machine does not have."""

    code = "invalid_transition"


class Unavailable(VcfolioError):
    """A service we stand on (PostgreSQL, Prefect) cannot be reached. Trying again can help."""

    code = "unavailable"
    retryable = True
