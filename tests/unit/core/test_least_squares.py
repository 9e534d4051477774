"""The third solve finds the least sum of squares: no direction within its set, written out for HiGHS, leads down.

A convex function is least at x in a convex set where its gradient there is least at x, too: a linear program.
"""

from __future__ import annotations

import highspy
import numpy as np
import pytest

from core.arrays import FloatArray
from core.portfolio.least_squares import DEVIATION_ROOM, least_squares
from core.portfolio.tie_break import deviation, deviations, tie_break_program, weights_of, with_objective_floor
from core.solver.backends import make_backend
from core.solver.feasibility import is_feasible, loss_count, multiples
from core.solver.program import LOSS_THRESHOLD, ChanceProgram, SolveControl
from tests.unit.core.oracles import exact_highs, random_program

CONTROL = SolveControl(work_limit=60_000)
EPSILON = 0.02


def tie_broken(seed: int) -> tuple[ChanceProgram, FloatArray] | None:
    """The program with its objective's floor, and the tie-break's answer; None where nothing is feasible."""
    rng = np.random.Generator(np.random.Philox(seed))
    program, backend = random_program(rng, 6, 30, cap=0.6), make_backend()
    first = backend.maximize(program, CONTROL)
    if first.x is None or first.objective is None:
        return None
    floor = first.objective - EPSILON
    second = backend.maximize(tie_break_program(program, floor), CONTROL, deviations(first.x))
    assert second.x is not None
    return with_objective_floor(program, floor), weights_of(second.x)


def least_along(gradient: FloatArray, locked: ChanceProgram, found: FloatArray) -> float:
    """The least gradient @ w over portfolios that lose in no further scenario. Columns: w, |w - 1/B|, eta, tails."""
    n, n_scenarios = len(found), len(locked.payoff_offset)
    width = 2 * n + 1 + n_scenarios
    inf = highspy.kHighsInf
    highs = exact_highs()
    polytope = locked.polytope
    lower = np.concatenate([polytope.lower, np.zeros(width - n)])
    upper = np.concatenate([polytope.upper, np.ones(n + 1), np.full(n_scenarios, inf)])
    for b in range(width):
        highs.addVar(float(lower[b]), float(upper[b]))

    def add(row: FloatArray, low: float, high: float) -> None:
        highs.addRow(low, high, len(row), np.arange(len(row), dtype=np.int32), row)

    for row, low, high in zip(polytope.rows, polytope.row_lower, polytope.row_upper, strict=True):
        add(row, float(low), float(high))
    for sign in (1.0, -1.0):
        for row in np.hstack([-sign * np.eye(n), np.eye(n)]):
            add(row, -sign / n, inf)
    add(np.concatenate([np.zeros(n), np.ones(n)]), -inf, deviation(found) + DEVIATION_ROOM)
    for s in np.flatnonzero(multiples(locked, found) >= LOSS_THRESHOLD).tolist():
        add(locked.payoffs[s], float(1.0 - locked.payoff_offset[s]), inf)
    tails = np.hstack([locked.payoffs, np.zeros((n_scenarios, n)), np.ones((n_scenarios, 1)), np.eye(n_scenarios)])
    for row, offset in zip(tails, locked.payoff_offset.tolist(), strict=True):  # tail_s >= 1 - M_s - eta
        add(row, 1.0 - offset, inf)
    shares = np.full(n_scenarios, 1.0 / ((1.0 - locked.cvar_confidence) * n_scenarios))
    add(np.concatenate([np.zeros(2 * n), [1.0], shares]), -inf, float(locked.cvar_limit))
    for b in range(n):
        highs.changeColCost(b, float(gradient[b]))
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value)


@pytest.mark.parametrize("first", range(0, 24, 8))
def test_no_portfolio_with_the_same_losses_has_a_smaller_sum_of_squares(first: int) -> None:
    improved = 0
    for seed in range(first, first + 8):
        case = tie_broken(seed)
        if case is None:
            continue
        locked, found = case
        equal = np.full(len(found), 1.0 / len(found))
        x = least_squares(locked, equal, np.ones(len(found)), found)
        assert x is not None
        squares, before = float(((x - equal) ** 2).sum()), float(((found - equal) ** 2).sum())
        gradient = 2.0 * (x - equal)
        assert least_along(gradient, locked, found) >= gradient @ x - 1e-5
        assert squares <= before + 1e-9
        improved += squares < before - 1e-6
        assert is_feasible(locked, x)
        assert deviation(x) <= deviation(found) + 2.0 * DEVIATION_ROOM
        lost = multiples(locked, x) < LOSS_THRESHOLD
        assert not np.any(lost & (multiples(locked, found) >= LOSS_THRESHOLD))
        assert loss_count(multiples(locked, x)) <= locked.max_losses
    assert improved
