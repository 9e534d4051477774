"""The whole family of a frontier, solved wave by wave by whoever can solve one point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.arrays import FloatArray
from core.frontier.plan import certified, excluded, start_for, waves
from core.frontier.point import FrontierPoint


@dataclass(frozen=True, slots=True)
class Assignment:
    """rank: which point, by tightness of its value. start: weights (B,) to start from, or None."""

    rank: int
    start: FloatArray | None


def solve_family(
    values: Sequence[float],
    solve: Callable[[list[Assignment]], list[FrontierPoint]],
    relative_gap: float,
) -> list[FrontierPoint]:
    """values: from the tightest to the loosest. solve: the points of one wave, in the order of its assignments.

    The points come in the order of the values, each with the best bound known. The same in whatever order or company
    `solve` works.
    """
    solved: dict[int, FrontierPoint] = {}
    for wave in waves(len(values)):
        ruled_out = [rank for rank in wave if excluded(rank, solved)]
        assignments = [Assignment(rank, start_for(rank, solved)) for rank in wave if rank not in ruled_out]
        points = solve(assignments) if assignments else []
        solved |= {rank: FrontierPoint.infeasible(values[rank]) for rank in ruled_out}
        solved |= {assignment.rank: point for assignment, point in zip(assignments, points, strict=True)}
    return certified([solved[rank] for rank in range(len(values))], relative_gap)
