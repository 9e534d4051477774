"""Counting work instead of seconds, so that a limit decides the same way on every machine."""

from __future__ import annotations

from core.errors import Cancelled
from core.solver.program import SolveControl


class LimitReached(Exception):
    """The work limit, or the safety net of time, ended the search. A signal inside the solver; no caller sees it."""


class WorkMeter:
    """Simplex iterations spent against a limit, and the two ways to be interrupted from outside."""

    def __init__(self, control: SolveControl) -> None:
        self._control = control
        self.limit = control.work_limit
        self.spent = 0
        self.reproducible = True

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.spent)

    def charge(self, iterations: int) -> None:
        """Add work done. Raises `LimitReached` past the limit, `Cancelled` when told to stop."""
        self.spent += iterations
        self.check()

    def check(self) -> None:
        interruption = self._control.interrupted()
        if interruption == "cancelled":
            raise Cancelled("the solve was told to stop")
        if interruption == "time":
            self.reproducible = False
            raise LimitReached
        if self.spent >= self.limit:
            raise LimitReached

    def share(self, fraction: float) -> int:
        """The meter reading at which a phase that may use `fraction` of what remains has to end."""
        return self.spent + int(fraction * self.remaining)
