"""Counting work instead of seconds, so that a limit decides the same way on every machine."""

from __future__ import annotations

from core.arrays import FloatArray
from core.errors import Cancelled
from core.solver.effort import Effort
from core.solver.highs_model import HighsModel
from core.solver.program import Interruption, SolveControl

SMALL_LP_ENTRIES = 50_000
"""Up to so many matrix entries, one simplex iteration is one unit of work."""


MOST_ITERATIONS = 2**31 - 1
"""HiGHS takes no larger limit."""


class LimitReached(Exception):
    """The work limit, or the safety net of time, ended the search. A signal inside the solver; no caller sees it."""


class WorkMeter:
    """Simplex iterations spent against a limit, and the two ways to be interrupted from outside."""

    def __init__(self, control: SolveControl) -> None:
        self._control = control
        self._interruption: Interruption | None = None
        self.limit = control.work_limit
        self.spent = 0

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.spent)

    @property
    def effort(self) -> Effort:
        return Effort(0, self.spent, self.reproducible)

    @property
    def reproducible(self) -> bool:
        return self._interruption != "time"

    def solve(self, model: HighsModel) -> FloatArray | None:
        """The optimum (n,) of a linear program, None if it is infeasible; at least one iteration is charged.

        An iteration of a large program counts for several, as its time does. Raises what `check` raises.
        """
        cost = max(1, model.n_entries // SMALL_LP_ENTRIES)
        model.interrupt_when(lambda _progress: self.interrupted())
        outcome = model.run(iteration_limit=min(MOST_ITERATIONS, max(1, self.remaining // cost)))
        self.spent += cost * max(1, model.iterations)
        self.check()
        if outcome == "limit":
            raise LimitReached
        return model.x if outcome == "optimal" else None

    def interrupted(self) -> bool:
        """Whether the solve has to stop now. Once it has to, it has to."""
        self._interruption = self._interruption or self._control.interrupted()
        return self._interruption is not None

    def check(self) -> None:
        """Raises `Cancelled` when told to stop, `LimitReached` past the limit or when time is up."""
        if self.interrupted() and self._interruption == "cancelled":
            raise Cancelled("the solve was told to stop")
        if self._interruption == "time" or self.spent >= self.limit:
            raise LimitReached

    def share(self, fraction: float) -> int:
        """The meter reading at which a phase that may use `fraction` of what remains has to end."""
        return self.spent + int(fraction * self.remaining)
