"""A small program whose solution runs through every kernel, so that all are compiled when it is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.program import ChanceProgram, Polytope, SolveControl

N_COLUMNS, N_SCENARIOS, MAX_LOSSES = 8, 60, 24


def solve_first_program() -> None:
    backend = BranchAndBoundBackend()
    program = first_program()
    backend.maximize(program, SolveControl())
    backend.maximize(replace(program, objective=np.zeros(N_COLUMNS)), SolveControl().any_answer())


def first_program() -> ChanceProgram:
    """Heavy-tailed multiples of which half are zero, with a loss limit and a CVaR limit that both bind."""
    rng = np.random.Generator(np.random.Philox(1))
    exits = rng.random((N_SCENARIOS, N_COLUMNS)) < 0.5
    payoffs = np.where(exits, rng.pareto(1.5, exits.shape) + 0.9, 0.0)
    return ChanceProgram(
        objective=payoffs.mean(axis=0),
        polytope=Polytope(
            np.ones((1, N_COLUMNS)), np.ones(1), np.ones(1), np.zeros(N_COLUMNS), np.full(N_COLUMNS, 0.4)
        ),
        payoffs=payoffs,
        payoff_offset=np.zeros(N_SCENARIOS),
        max_losses=MAX_LOSSES,
        cvar_confidence=0.8,
        cvar_limit=0.8,
        cvar_slack=np.zeros(N_COLUMNS),
    )
