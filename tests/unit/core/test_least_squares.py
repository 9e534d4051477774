"""The third solve finds the least sum of squares that HiGHS finds in the same set, written out row by row."""

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
from tests.unit.core.oracles import random_program

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


def least_by_highs(locked: ChanceProgram, found: FloatArray) -> float:
    """The sum of squares in the set of portfolios that lose no further scenario: columns w, |w - 1/B|, eta, tails."""
    n, n_scenarios = len(found), len(locked.payoff_offset)
    kept = np.flatnonzero(multiples(locked, found) >= LOSS_THRESHOLD)
    width = 2 * n + 1 + n_scenarios
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    for b in range(n):
        highs.addVar(float(locked.polytope.lower[b]), float(locked.polytope.upper[b]))
    for _ in range(n):
        highs.addVar(0.0, 1.0)
    highs.addVar(0.0, 1.0)
    for _ in range(n_scenarios):
        highs.addVar(0.0, highspy.kHighsInf)

    def add(row: FloatArray, low: float, high: float) -> None:
        full = np.zeros(width)
        full[: len(row)] = row
        highs.addRow(low, high, width, np.arange(width, dtype=np.int32), full)

    for row, low, high in zip(locked.polytope.rows, locked.polytope.row_lower, locked.polytope.row_upper, strict=True):
        add(row, float(low), float(high))
    for b in range(n):
        for sign in (1.0, -1.0):
            row = np.zeros(2 * n)
            row[b], row[n + b] = -sign, 1.0
            add(row, -sign / n, highspy.kHighsInf)
    add(np.concatenate([np.zeros(n), np.ones(n)]), -highspy.kHighsInf, deviation(found) + DEVIATION_ROOM)
    for s in kept.tolist():
        add(locked.payoffs[s], float(1.0 - locked.payoff_offset[s]), highspy.kHighsInf)
    for s in range(n_scenarios):  # tail_s >= 1 - M_s - eta
        row = np.zeros(width)
        row[:n], row[2 * n], row[2 * n + 1 + s] = locked.payoffs[s], 1.0, 1.0
        add(row, float(1.0 - locked.payoff_offset[s]), highspy.kHighsInf)
    row = np.zeros(width)
    row[2 * n] = 1.0
    row[2 * n + 1 :] = 1.0 / ((1.0 - locked.cvar_confidence) * n_scenarios)
    add(row, -highspy.kHighsInf, float(locked.cvar_limit))
    hessian = highspy.HighsHessian()
    hessian.dim_ = width
    hessian.format_ = highspy.HessianFormat.kTriangular
    hessian.start_ = np.minimum(np.arange(width + 1), n).astype(np.int32)
    hessian.index_ = np.arange(n, dtype=np.int32)
    hessian.value_ = np.full(n, 2.0)
    highs.passHessian(hessian)
    for b in range(n):
        highs.changeColCost(b, -2.0 / n)
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value) + 1.0 / n


@pytest.mark.parametrize("first", range(0, 24, 8))
def test_the_least_sum_of_squares_is_that_of_highs(first: int) -> None:
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
        assert squares == pytest.approx(least_by_highs(locked, found), abs=1e-5)
        assert squares <= before + 1e-9
        improved += squares < before - 1e-6
        assert is_feasible(locked, x)
        assert deviation(x) <= deviation(found) + 2.0 * DEVIATION_ROOM
        lost = multiples(locked, x) < LOSS_THRESHOLD
        assert not np.any(lost & (multiples(locked, found) >= LOSS_THRESHOLD))
        assert loss_count(multiples(locked, x)) <= locked.max_losses
    assert improved
