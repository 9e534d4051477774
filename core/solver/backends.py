"""The solver backends, by name. Everybody who needs one comes here."""

from __future__ import annotations

from typing import Literal, cast, get_args

from core.errors import BadInput
from core.solver.highs import HighsBackend
from core.solver.program import SolverBackend

BackendName = Literal["auto", "branch-and-bound", "highs"]


def solver_backend(name: str = "auto") -> SolverBackend:
    """`auto` is the best there is here. Raises BadInput for a name that is none, and for what is not available."""
    if name not in get_args(BackendName):
        raise BadInput.of("backend", name, f"must be one of {', '.join(get_args(BackendName))}")
    match cast("BackendName", name):
        case "auto" | "highs":
            return HighsBackend()
        case "branch-and-bound":
            raise BadInput.of("backend", name, "is not available in this installation; use auto or highs")
