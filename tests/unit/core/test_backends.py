"""Which backend solves: the default, the one that was named, HiGHS where the branch and bound cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.errors import BadInput, SolverFailed
from core.solver.backends import WithFallback, make_backend
from core.solver.program import ChanceProgram, SolveControl, SolveOutcome
from tests.unit.core.tree_programs import tree_program


class Defeated:
    name = "branch-and-bound"

    def maximize(self, program: ChanceProgram, control: SolveControl, start: object = None) -> SolveOutcome:
        raise SolverFailed("lost to rounding")


def test_highs_takes_over_a_defeated_solve_and_the_outcome_says_so() -> None:
    program = tree_program(6, 30)  # HiGHS takes seconds for the larger one
    outcome = WithFallback(Defeated()).maximize(program, SolveControl())
    assert outcome.backend == "highs"
    assert outcome.fallback == "branch-and-bound gave up: lost to rounding"
    expected = make_backend("branch-and-bound").maximize(program, SolveControl())
    assert outcome.objective == pytest.approx(expected.objective, rel=2e-4)
    assert expected.fallback is None


def test_without_numba_highs_answers_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "core.solver.branch_and_bound.backend", None)
    outcome = make_backend().maximize(tree_program(6, 30), SolveControl())
    assert outcome.backend == "highs"
    assert outcome.fallback.startswith("Numba cannot be imported")
    with pytest.raises(SolverFailed, match="Numba cannot be imported"):
        make_backend("branch-and-bound")


def test_a_backend_that_does_not_exist_is_bad_input() -> None:
    with pytest.raises(BadInput, match="backend = 'simplex'"):
        make_backend("simplex")
    assert make_backend().name == "auto"
    assert make_backend("highs").name == "highs"


def test_loading_the_interface_does_not_load_the_compiler() -> None:
    code = "import sys, core.solver.backends; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
