"""A program that takes the branch and bound some hundred nodes, and the root's relaxation of any program."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.branch_and_bound.cuts.relaxation import (
    MultiplicationMeter,
    Relaxation,
)
from core.solver.branch_and_bound.cuts.scenarios import scenarios_of
from core.solver.feasibility import multiples
from core.solver.program import ChanceProgram, SolveControl
from tests.unit.core.oracles import random_program


def relaxation_of(program: ChanceProgram) -> Relaxation:
    scenarios = scenarios_of(program, with_phase1_slack=False)
    return Relaxation(-program.objective, program.polytope, scenarios, MultiplicationMeter(SolveControl()))


@cache
def tree_program(n_buckets: int = 10, n_scenarios: int = 80) -> ChanceProgram:
    """One that takes some hundred nodes."""
    rng = np.random.Generator(np.random.Philox(11))
    program = replace(random_program(rng, n_buckets, n_scenarios, cap=0.25), max_losses=n_scenarios, cvar_limit=1.0)
    best = BranchAndBoundBackend().maximize(program, SolveControl())
    assert best.x is not None
    losses = int(np.count_nonzero(multiples(program, best.x) < 1.0))
    return replace(program, max_losses=int(0.85 * losses))
