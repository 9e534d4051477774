"""The dual simplex against HiGHS: optima, verdicts and certified bounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.solver.branch_and_bound.lp.dual_simplex import (
    CUT_OFF,
    INFEASIBLE,
    OPTIMAL,
    PAUSED,
    certified_infeasible,
    certified_minimum,
    certified_objective,
    dual_simplex,
    leaving_row,
    objective,
    solve_lp,
)
from core.solver.branch_and_bound.lp.tableau import (
    BASE_ROW,
    Lp,
    add_row,
    make_lp,
    read_solution,
    rebuild,
    set_cost,
)
from core.solver.highs_model import HighsModel
from core.solver.rows import dense_rows
from tests.unit.core.recorded_oracle import naming


def random_lp(seed: int) -> tuple[Lp, HighsModel]:
    """minimize cost @ x: rows with one or two bounds, equalities, duplicates; about a third infeasible."""
    rng = np.random.Generator(np.random.Philox(seed))
    n, m = int(rng.integers(1, 12)), int(rng.integers(1, 14))
    cost = rng.normal(size=n) * (rng.random(n) < 0.8)
    lower = np.where(rng.random(n) < 0.7, 0.0, -rng.random(n))
    upper = lower + np.where(rng.random(n) < 0.1, 0.0, rng.random(n) * 3.0)
    rows = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.7) * rng.choice([1.0, 1.0, 100.0], (m, 1))
    rows[0] = rows[-1]
    middle = rows @ (lower + (upper - lower) * rng.random(n)) + rng.normal(size=m) * (rng.random() < 0.5)
    low = np.where(rng.random(m) < 0.6, middle - rng.random(m), -np.inf)
    high = np.where((rng.random(m) < 0.5) | np.isinf(low), middle + rng.random(m), np.inf)
    equal = rng.random(m) < 0.15
    low, high = np.where(equal, middle, low), np.where(equal, middle, high)
    lp = make_lp(cost, lower, upper, m + 4)
    for row, least, most in zip(rows, low, high, strict=True):
        add_row(lp, row, least, most, BASE_ROW, -1)
    return lp, HighsModel(-cost, lower, upper, dense_rows(rows, low, high), feasibility=1e-9)


def test_the_dual_simplex_agrees_with_highs_and_its_verdicts_are_certified() -> None:
    for seed in range(300):
        with naming(f"seed {seed}"):
            agrees_with_highs(seed)


def agrees_with_highs(seed: int) -> None:
    lp, model = random_lp(seed)
    verdict = solve_lp(lp, np.inf, 10_000)
    outcome = model.run()
    assert (verdict, outcome) in [(OPTIMAL, "optimal"), (INFEASIBLE, "infeasible")]
    if verdict == OPTIMAL:
        scale = 1.0 + abs(model.objective)
        assert objective(lp) == pytest.approx(-model.objective, abs=1e-6 * scale)
        assert -model.objective - 1e-6 * scale <= certified_objective(lp) <= objective(lp) + 1e-9 * scale
        x = np.empty(len(lp.cost))
        read_solution(lp, x)
        assert lp.cost @ x == pytest.approx(objective(lp), abs=1e-8 * scale)
    else:
        assert certified_infeasible(lp, leaving_row(lp))


@pytest.mark.parametrize("seed", range(40))
def test_a_new_objective_a_new_row_and_a_rebuilt_dictionary_lead_to_the_same_optimum(seed: int) -> None:
    lp, model = random_lp(1000 + seed)
    rng = np.random.Generator(np.random.Philox(seed))
    n = len(lp.cost)
    cost, row = rng.normal(size=n), rng.random(n)
    solve_lp(lp, np.inf, 10_000)
    set_cost(lp, cost)
    add_row(lp, row, 0.1, np.inf, BASE_ROW, -1)
    model.set_objective(-cost)
    model.add_row(row, 0.1)
    for _ in range(2):
        verdict = solve_lp(lp, np.inf, 10_000)
        assert verdict == (OPTIMAL if model.run() == "optimal" else INFEASIBLE)
        if verdict == OPTIMAL:
            assert objective(lp) == pytest.approx(-model.objective, abs=1e-6 * (1.0 + abs(model.objective)))
        rebuild(lp)


@pytest.mark.parametrize("seed", range(40))
def test_no_multipliers_whatever_prove_more_than_the_optimum(seed: int) -> None:
    lp, model = random_lp(2000 + seed)
    if model.run() != "optimal":
        return
    solve_lp(lp, np.inf, 10_000)
    rng = np.random.Generator(np.random.Philox(seed))
    for size in (0.0, 1e-9, 1.0, 1e6):
        wrong = lp.reduced + size * rng.normal(size=len(lp.cost))
        assert certified_minimum(lp, lp.cost.copy(), wrong) <= -model.objective + 1e-6 * (1 + abs(model.objective))


def test_a_cut_off_stops_the_dual_simplex_only_beyond_it() -> None:
    cut = 0
    for seed in range(60):
        lp, model = random_lp(3000 + seed)
        if model.run() != "optimal":
            continue
        best = -model.objective
        other, _ = random_lp(3000 + seed)
        assert dual_simplex(lp, best - 0.01 * (1 + abs(best)), 10_000) in (CUT_OFF, OPTIMAL)
        cut += certified_objective(lp) > best - 0.01 * (1 + abs(best))
        assert dual_simplex(other, best + 1e-5 * (1 + abs(best)), 10_000) == OPTIMAL
    assert cut > 20


def test_a_row_that_needs_every_column_at_its_bound_is_not_lost_to_rounding() -> None:
    for n in range(1, 60):
        lp = make_lp(np.zeros(n), np.zeros(n), np.full(n, 1.0 / n), 3)
        add_row(lp, np.ones(n), 1.0, 1.0, BASE_ROW, -1)
        assert solve_lp(lp, np.inf, 1_000) == OPTIMAL


def test_pivots_that_go_round_in_a_circle_are_led_out_of_it() -> None:
    """From the relaxation of a search for any feasible portfolio: fifteen pivots lead back to where they began."""
    given = json.loads(Path(__file__).with_name("cycling_program.json").read_text("utf-8"))
    rows, low, high = (np.array(given[name]) for name in ("rows", "row_lower", "row_upper"))
    columns = np.array(given["column_lower"]), np.array(given["column_upper"])
    cost = np.zeros(rows.shape[1])
    circling, lp = make_lp(cost, *columns, len(rows) + 1), make_lp(cost, *columns, len(rows) + 1)
    for program in (circling, lp):
        for row, least, most in zip(rows, low, high, strict=True):
            add_row(program, row, least, most, BASE_ROW, -1)
        program.nonbasic[:], program.at_upper[:] = given["nonbasic"], given["at_upper"]
        rebuild(program)
    assert dual_simplex(circling, np.inf, 10_000) == PAUSED
    expected = HighsModel(cost, *columns, dense_rows(rows, low, high), feasibility=1e-9).run()
    assert solve_lp(lp, np.inf, 1_000) == (OPTIMAL if expected == "optimal" else INFEASIBLE)
    assert certified_objective(lp) == pytest.approx(0.0, abs=1e-7)
