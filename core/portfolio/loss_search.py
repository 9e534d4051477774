"""The least number of losing scenarios, by bisection over feasibility."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.solver.program import SolveControl


@dataclass(frozen=True, slots=True)
class Attempt:
    """Of one count: how many scenarios lose in the portfolio found (None: none found), whether none is proven to be."""

    losses: int | None
    impossible: bool
    work: int


@dataclass(frozen=True, slots=True)
class LeastLosses:
    """achieved: by a portfolio that was found. proven: no portfolio has fewer."""

    achieved: int
    proven: int


def least_losses(
    attempt: Callable[[int, SolveControl], Attempt],
    control: SolveControl,
    *,
    least: int,
    achieved: int,
    first: int | None = None,
) -> LeastLosses:
    """Bisect between `least`, below which nobody asks, and `achieved`. first: the count to try first; else the middle.

    Every count may use half of the work that is left, so that a hard one does not use up what the others need.
    """
    # Counts up to `low` are out of the question: not asked for, proven impossible, or not found within the limit.
    low = impossible = least - 1
    tried, work_left = (low + achieved) // 2 if first is None else first, control.work_limit
    while low + 1 < achieved:
        found = attempt(tried, replace(control.any_answer(), work_limit=max(1, work_left // 2)))
        work_left = max(0, work_left - found.work)
        if found.losses is not None:
            achieved = min(tried, found.losses)
        else:
            low = tried
            impossible = tried if found.impossible else impossible
        tried = (low + achieved) // 2
    return LeastLosses(achieved, impossible + 1)
