"""The parts of the dedicated branch and bound, each against HiGHS or by the promise that it makes to the others."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.branch_and_bound.bounds.decisions import Decisions, losses_left
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import reduced_cost_fixing
from core.solver.branch_and_bound.cuts.relaxation import (
    MultiplicationMeter,
)
from core.solver.branch_and_bound.cuts.scenarios import make_tail, nth_largest, scenarios_of, worst_tail
from core.solver.branch_and_bound.lp.dual_simplex import (
    OPTIMAL,
)
from core.solver.branch_and_bound.search.incumbents import Incumbents
from core.solver.cut_lp import MARGIN
from core.solver.feasibility import is_feasible, loss_tail, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import Polytope, SolveControl
from core.solver.rows import dense_rows
from tests.unit.core.oracles import random_program
from tests.unit.core.tree_programs import relaxation_of, tree_program


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.8, 0.93, 0.999])
def test_the_tail_is_the_one_of_the_strict_check_ties_included(confidence: float) -> None:
    rng = np.random.Generator(np.random.Philox(4))
    tail = make_tail(23)
    for _ in range(40):
        program = replace(random_program(rng, 4, 23), cvar_confidence=confidence)
        portfolio = rng.choice([0.0, 0.25, 0.5, 0.9, 1.0, 2.0], 23)
        size = (1.0 - confidence) * 23
        # Whatever the last tail was.
        count, value, edge, share = worst_tail(scenarios_of(program, with_phase1_slack=False), portfolio, tail)
        assert np.array_equal(tail.losses[:count], 1.0 - portfolio[tail.places[:count]])
        inside = np.flatnonzero((portfolio < 1.0) & (1.0 - portfolio >= edge))
        assert set(inside) <= set(tail.places[:count])
        assert value == pytest.approx(loss_tail(portfolio, confidence).value, abs=1e-12)
        losses = np.maximum(0.0, 1.0 - portfolio)
        weights = np.where(losses > edge, 1.0, np.where((losses == edge) & (losses > 0.0), share, 0.0)) / size
        assert weights @ losses == pytest.approx(value, abs=1e-12)
        assert weights.sum() <= 1.0 + 1e-12
        assert 0.0 <= share <= 1.0


def test_the_nth_largest_is_the_one_of_a_sort_ties_included() -> None:
    rng = np.random.Generator(np.random.Philox(7))
    for size in (1, 2, 3, 10, 57):
        for values in (rng.random(size), rng.choice([0.0, 0.25, 1.0], size), np.ones(size), np.arange(size, 0.0, -1.0)):
            found = [nth_largest(values.copy(), n) for n in range(1, size + 1)]
            assert found == sorted(values.tolist(), reverse=True)


@pytest.mark.parametrize("seed", range(12))
def test_bounds_by_reduced_costs_hold_for_every_point_within_the_cut_off(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(5000 + seed))
    program = replace(random_program(rng, 6, 30), max_losses=30, cvar_limit=np.inf)
    relaxation = relaxation_of(program)
    free = Decisions.none(30)
    assert relaxation.solve(free.required) == OPTIMAL
    cutoff = relaxation.bound + 0.05 * abs(relaxation.bound)
    found = Decisions.none(30)
    reduced_cost_fixing(relaxation.lp, relaxation.scenarios, relaxation.multiples, cutoff, found, np.inf)
    of_losing = Decisions.none(30)
    reduced_cost_fixing(relaxation.lp, relaxation.scenarios, relaxation.multiples, cutoff, of_losing, 1.0)
    for some, all_of_them in zip(of_losing, found, strict=True):
        assert np.array_equal(some, np.where(relaxation.multiples < 1.0, all_of_them, 0))
    rows = np.vstack([program.polytope.rows, program.objective])
    low, high = np.append(program.polytope.row_lower, -cutoff), np.append(program.polytope.row_upper, np.inf)
    polytope = program.polytope
    model = HighsModel(np.zeros(6), polytope.lower, polytope.upper, dense_rows(rows, low, high), feasibility=1e-9)
    for s in range(30):
        model.set_objective(-program.payoffs[s])
        assert model.run() == "optimal"
        least = -model.objective
        model.set_objective(program.payoffs[s])
        model.run()
        assert found.floor[s] <= least + 1e-6
        assert not found.required[s] or least >= 1.0 - 1e-6
        assert not found.lost[s] or model.objective < 1.0
    assert found.required.any() or found.lost.any() or found.floor.any()


def test_without_losses_left_every_other_scenario_must_not_lose() -> None:
    decisions = Decisions.none(5)
    decisions.lost[[1, 3]] = True
    assert losses_left(decisions, 3) == 1
    assert not decisions.required.any()
    assert losses_left(decisions, 1) == -1
    assert losses_left(decisions, 2) == 0
    assert decisions.required.tolist() == [True, False, True, False, True]


def test_threads_that_solve_at_the_same_time_get_the_same_bits() -> None:
    program, outcomes = tree_program(), []
    control = SolveControl(work_limit=2_000)
    alone = BranchAndBoundBackend().maximize(program, control)
    assert alone.nodes > 50
    solve = lambda: outcomes.append(BranchAndBoundBackend().maximize(program, control))  # noqa: E731
    threads = [threading.Thread(target=solve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        assert outcome.x.tobytes() == alone.x.tobytes()
        assert (outcome.bound, outcome.nodes, outcome.work) == (alone.bound, alone.nodes, alone.work)


@pytest.mark.parametrize("seed", range(3))
def test_that_nobody_meets_the_loss_limit_is_seen_at_once_where_cvar_is_broken_as_well(seed: int) -> None:
    """The cuts of CVaR do not move an objective of zeros, and must not use up the patience for the others."""
    rng = np.random.Generator(np.random.Philox(seed))
    n, n_scenarios = 40, 500
    exits = rng.random((n_scenarios, n)) < 0.35
    payoffs = np.where(exits, 0.8 + rng.pareto(1.5, exits.shape), 0.0)
    program = replace(
        random_program(rng, n, n_scenarios),
        objective=np.zeros(n),
        polytope=Polytope(np.ones((1, n)), np.ones(1), np.ones(1), np.zeros(n), np.full(n, 0.15)),
        payoffs=payoffs,
        payoff_offset=np.zeros(n_scenarios),
        max_losses=15,
        cvar_confidence=0.9,
        cvar_limit=0.7,
        cvar_slack=np.zeros(n),
    )
    outcome = BranchAndBoundBackend().maximize(program, SolveControl(work_limit=100).any_answer())
    assert outcome.status == "infeasible"


def test_a_climb_begins_anywhere_swaps_losses_while_that_improves_and_goes_no_way_twice() -> None:
    program = tree_program()
    program = replace(program, max_losses=program.max_losses + 5, cvar_limit=np.inf)
    optimum = BranchAndBoundBackend().maximize(program, SolveControl())
    portfolio = multiples(program, optimum.x)
    rng = np.random.Generator(np.random.Philox(1))
    improved = 0
    for _ in range(20):
        incumbents = Incumbents(
            program, scenarios_of(program, with_phase1_slack=False), MultiplicationMeter(SolveControl())
        )
        allowed = incumbents.worst(portfolio + rng.normal(scale=0.1, size=len(portfolio)))
        incumbents.fix_losses(np.where(allowed, 0.0, 2.0), MARGIN)
        begun = incumbents.objective
        incumbents.local_search(allowed.copy(), 2**62)
        improved += begun < incumbents.objective <= optimum.bound
        # With the losses it ends with, no swap was better; and the way there is known.
        reached, spent = incumbents.objective, incumbents.meter.spent
        incumbents.local_search(allowed, 2**62)
        assert incumbents.objective == reached
        assert incumbents.meter.spent - spent <= 1
        assert incumbents.x is None or is_feasible(program, incumbents.x)
    assert improved > 3


def test_more_work_never_worsens_answer_or_bound() -> None:
    program = tree_program()
    full = BranchAndBoundBackend().maximize(program, SolveControl())
    assert full.status == "optimal"
    objective_before, bound_before = -np.inf, np.inf
    for share in (4, 3, 2, 1):
        outcome = BranchAndBoundBackend().maximize(program, SolveControl(work_limit=full.work // share))
        assert outcome.x is not None
        assert is_feasible(program, outcome.x)
        assert outcome.bound >= full.objective - 1e-9
        assert outcome.objective >= objective_before - 1e-12
        assert outcome.bound <= bound_before
        objective_before, bound_before = outcome.objective, outcome.bound
