"""Minimal relaxation against an independent one: each class's least violation by the textbook MIP."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.optimization.limits import Limits
from core.optimization.problem import PortfolioProblem
from core.optimization.relaxation import relax_minimally
from core.simulation.models import model_of
from core.solver.highs import HighsBackend
from core.solver.program import ChanceProgram, Polytope, SolveControl
from core.solver.strict_check import is_feasible
from tests.core.oracles import textbook_mip
from tests.core.simulated_fund import config_of, make_inputs

CONTROL = SolveControl(work_limit=400_000)


def make_problem(seed: int, **limits: float) -> PortfolioProblem:
    inputs = make_inputs(2, matrix_key=f"relaxation-{seed}", scenario_count=25)
    matrix = model_of("three_component_v1").generate(inputs)
    return PortfolioProblem.of(config_of(inputs, **limits), matrix)


def least_losses(problem: PortfolioProblem) -> int:
    """The fewest losing scenarios of any portfolio."""
    counts = range(problem.n_scenarios + 1)
    return next(k for k in counts if textbook_mip(simplex_program(problem, k, 0, np.inf), 1e-6).feasible)


def simplex_program(problem: PortfolioProblem, max_losses: int, columns: int, cvar_limit: float) -> ChanceProgram:
    """Weights alone, and `columns` slacks beside them; the last one loosens CVaR if `columns` is 1."""
    n, s = problem.n_buckets, problem.n_scenarios
    budget = np.r_[np.ones(n), np.zeros(columns)][None, :]
    return ChanceProgram(
        objective=np.r_[np.zeros(n), -np.ones(columns)],
        polytope=Polytope(budget, np.array([1.0]), np.array([1.0]), np.zeros(n + columns), np.ones(n + columns)),
        payoffs=np.hstack([problem.moic.T, np.zeros((s, columns))]),
        payoff_offset=np.zeros(s),
        max_losses=max_losses,
        cvar_confidence=0.8,
        cvar_limit=cvar_limit,
        cvar_slack=np.r_[np.zeros(n), np.ones(columns)],
    )


@pytest.mark.parametrize("seed", range(10))
def test_losses_and_cvar_give_way_by_the_least_that_any_portfolio_needs(seed: int) -> None:
    problem = make_problem(seed, max_loss_probability=0.08, cvar_limit=0.05, cvar_confidence_level=0.8)
    asked = Limits.of(problem.config, problem.n_scenarios)
    relaxed = relax_minimally(problem, asked, HighsBackend(), CONTROL)
    assert asked.max_losses == 2
    assert relaxed.limits.max_losses == max(2, least_losses(problem))
    cvar = textbook_mip(simplex_program(problem, relaxed.limits.max_losses, 1, 0.05), 1e-6)
    assert relaxed.limits.cvar_limit == pytest.approx(0.05 - cvar.objective, abs=1e-5)
    assert is_feasible(problem.program(relaxed.limits), relaxed.weights)
    assert all(bound.class_proven <= bound.class_violation + 1e-9 for bound in relaxed.bounds)


def test_nothing_moves_where_everything_can_be_met() -> None:
    problem = make_problem(0, max_loss_probability=1.0, cvar_limit=1.0)
    relaxed = relax_minimally(problem, Limits.of(problem.config, problem.n_scenarios), HighsBackend(), CONTROL)
    assert relaxed.bounds == ()
    assert relaxed.limits.max_losses == 25


@pytest.mark.parametrize("seed", range(5))
def test_the_bucket_maximum_is_one_bound_that_moves_as_far_as_the_largest_weight_must(seed: int) -> None:
    problem = make_problem(seed, max_loss_probability=0.0, cvar_limit=1.0, bucket_max_weight=0.125)
    relaxed = relax_minimally(problem, Limits.of(problem.config, problem.n_scenarios), HighsBackend(), CONTROL)
    least = least_losses(problem)
    assert relaxed.limits.max_losses == least
    program = simplex_program(problem, least, 1, np.inf)
    n = problem.n_buckets
    capped = replace(
        program,
        polytope=replace(
            program.polytope,
            rows=np.vstack([program.polytope.rows, np.c_[np.eye(n), -np.ones(n)]]),
            row_lower=np.r_[program.polytope.row_lower, np.full(n, -np.inf)],
            row_upper=np.r_[program.polytope.row_upper, np.full(n, 0.125)],
        ),
    )
    assert relaxed.limits.bucket_max_weight == pytest.approx(0.125 - textbook_mip(capped, 1e-6).objective, abs=1e-5)
    assert [b.type for b in relaxed.bounds if b.type.startswith("bucket")] == ["bucket_max_weight"]
