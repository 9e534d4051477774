"""The dedicated branch and bound behind the interface that every solver has."""

from __future__ import annotations

from core.arrays import FloatArray
from core.solver.branch_and_bound.search.solve import Search
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome


class BranchAndBoundBackend:
    """Maximizes a `ChanceProgram`. Single-threaded; the same program and limits give the same bytes.

    Raises SolverFailed when rounding loses a linear program even from a fresh dictionary.
    """

    name = "branch-and-bound"

    def maximize(self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None) -> SolveOutcome:
        return Search(program, control).run(self.name, start)
