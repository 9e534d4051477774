"""Which solver answers: the dedicated branch and bound, HiGHS, or the first with the second to fall back on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.arrays import FloatArray
from core.errors import BadInput, SolverFailed
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome, SolverBackend
from core.solver.textbook import TextbookBackend

BackendName = Literal["auto", "branch-and-bound", "highs"]
BACKEND_NAMES: tuple[str, ...] = get_args(BackendName)


def make_backend(name: str = "auto") -> SolverBackend:
    """`auto`: branch and bound, or HiGHS where Numba is missing or rounding defeats a solve; outcomes say which.

    Raises BadInput for another name, SolverFailed for `branch-and-bound` without Numba.
    """
    if name == "highs":
        return TextbookBackend()
    if name not in BACKEND_NAMES:
        raise BadInput.of("backend", name, f"must be one of {', '.join(BACKEND_NAMES)}")
    try:
        # Here, since it loads a compiler that most commands have no use for.
        from core.solver.branch_and_bound.backend import BranchAndBoundBackend  # noqa: PLC0415
    except ImportError as error:
        reason = f"Numba cannot be imported: {error}"
        if name == "branch-and-bound":
            raise SolverFailed(reason) from error
        return WithoutBranchAndBound(reason)
    return BranchAndBoundBackend() if name == "branch-and-bound" else WithFallback(BranchAndBoundBackend())


@dataclass(frozen=True, slots=True)
class WithoutBranchAndBound:
    """HiGHS, whose outcomes say why it is HiGHS."""

    reason: str
    name: str = TextbookBackend.name

    def maximize(self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None) -> SolveOutcome:
        return replace(TextbookBackend().maximize(program, control, start), fallback=self.reason)


@dataclass(frozen=True, slots=True)
class WithFallback:
    """HiGHS takes over a solve that `first` gives up on."""

    first: SolverBackend
    name: str = "auto"

    def maximize(self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None) -> SolveOutcome:
        try:
            return self.first.maximize(program, control, start)
        except SolverFailed as failure:
            reason = f"{self.first.name} gave up: {failure}"
        return replace(TextbookBackend().maximize(program, control, start), fallback=reason)
