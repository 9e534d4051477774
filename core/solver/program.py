"""The chance-constrained program that every solver backend takes, and what it gives back.

    maximize    objective @ x
    subject to  row_lower <= rows @ x <= row_upper,   lower <= x <= upper
                #{s : payoff_offset_s + payoffs_s @ x < 1 - 1e-9} <= max_losses
                CVaR_c(max(0, 1 - payoff_offset - payoffs @ x)) <= cvar_limit + cvar_slack @ x

With x = w this is the portfolio problem. Other columns (slack of a relaxed bound, the deviations of the tie-break)
stand beside or instead of w, with `payoffs` and `payoff_offset` to match. Multiples are never negative anywhere in
the polytope: weights and MOIC are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from core.arrays import FloatArray
from core.solver.effort import Effort

SOLVER_VERSION = 1
"""What may change the answer to any program, within its gap, is a new version: stored answers are found by it."""

LOSS_THRESHOLD = 1.0 - 1e-9
"""A scenario is a loss when its portfolio multiple, recomputed in float64, is below this."""

LOSS_RESOLUTION = 5e-10
"""Halfway from 1 to the threshold of a loss: a row at 1 counts as met by a multiple no farther below."""

LINEAR_TOLERANCE = 1e-7
"""By how much a linear bound or the CVaR limit may be overstepped and still count as met."""


@dataclass(frozen=True, slots=True)
class Polytope:
    """rows: (m, n); row_lower, row_upper: (m,), infinite where open; lower, upper: (n,), finite."""

    rows: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    lower: FloatArray
    upper: FloatArray

    def with_rows(self, rows: FloatArray, lower: FloatArray | float, upper: FloatArray | float) -> Polytope:
        """With `lower <= rows @ x <= upper` as its last rows. rows: (k, n); one number is the bound of all of them."""
        return replace(
            self,
            rows=np.vstack([self.rows, rows]),
            row_lower=np.append(self.row_lower, np.broadcast_to(lower, len(rows))),
            row_upper=np.append(self.row_upper, np.broadcast_to(upper, len(rows))),
        )


@dataclass(frozen=True, slots=True)
class ChanceProgram:
    """See the module's text. payoffs: (S, n); payoff_offset: (S,); cvar_slack: (n,), zero where no limit is relaxed.

    cvar_confidence: in [0, 1); cvar_limit: fraction of capital, infinite when there is no limit.
    """

    objective: FloatArray
    polytope: Polytope
    payoffs: FloatArray
    payoff_offset: FloatArray
    max_losses: int
    cvar_confidence: float
    cvar_limit: float
    cvar_slack: FloatArray

    def with_rows(self, rows: FloatArray, lower: FloatArray | float, upper: FloatArray | float) -> ChanceProgram:
        """The program on the polytope `with_rows`."""
        return replace(self, polytope=self.polytope.with_rows(rows, lower, upper))


@dataclass(frozen=True, slots=True)
class SolveProgress:
    """What a running solve knows: its best strictly checked objective (None yet), its proven bound, work done."""

    objective: float | None
    bound: float
    nodes: int
    work: int


ANY_GAP = 1e9
"""A gap that every answer closes; finite, since infinity times an objective of 0 is no number."""

Interruption = Literal["cancelled", "time"]
"""Why a solve must stop now: it was told to (raise `Cancelled`), or the safety net of wall-clock time struck."""


@dataclass(frozen=True, slots=True)
class SolveControl:
    """How hard to try. `work_limit` counts work, not seconds, so that the same limit gives the same answer.

    `interrupted` is asked often. On "cancelled" the solve raises `Cancelled`; on "time" it returns what it has,
    marked `reproducible = False`.
    """

    relative_gap: float = 1e-4
    absolute_gap: float = 1e-9
    work_limit: int = 1_000_000
    interrupted: Callable[[], Interruption | None] = lambda: None
    progress: Callable[[SolveProgress], None] = lambda _progress: None

    def any_answer(self) -> SolveControl:
        """The same effort, but the first strictly feasible point will do."""
        return replace(self, relative_gap=ANY_GAP, absolute_gap=ANY_GAP)


SolveStatus = Literal["optimal", "feasible", "infeasible", "unknown"]


@dataclass(frozen=True, slots=True)
class SolveOutcome:
    """An anytime answer.

    status: `optimal` (gap closed), `feasible` (an answer, gap open), `infeasible` (proven), `unknown` (no answer yet).
    x: (n,) or None; objective: of x; bound: no feasible x can do better.
    fallback: why another backend than the one asked for gave the answer, None where it did.
    """

    status: SolveStatus
    x: FloatArray | None
    objective: float | None
    bound: float
    effort: Effort
    backend: str
    fallback: str | None = None

    @property
    def nodes(self) -> int:
        return self.effort.nodes

    @property
    def work(self) -> int:
        return self.effort.work

    @property
    def reproducible(self) -> bool:
        return self.effort.reproducible

    @property
    def gap(self) -> float:
        """(bound - objective) / |objective|; infinite without an answer."""
        if self.objective is None:
            return float("inf")
        return max(0.0, self.bound - self.objective) / max(abs(self.objective), 1e-12)


class SolverBackend(Protocol):
    """Anything that maximizes a `ChanceProgram`; `start` (n,) is a feasible or nearly feasible point, if known."""

    @property
    def name(self) -> str: ...

    def maximize(
        self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None
    ) -> SolveOutcome: ...
