"""The parts of the dedicated branch and bound, each against HiGHS or by the promise that it makes to the others."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.arrays import BoolArray
from core.errors import BadInput, Cancelled, SolverFailed
from core.solver.backends import WithFallback, make_backend
from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.branch_and_bound.bounds.decisions import Decisions, losses_left
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import reduced_cost_fixing
from core.solver.branch_and_bound.cuts.relaxation import (
    MULTIPLICATIONS_PER_UNIT,
    WORK_BETWEEN_PAUSES,
    MultiplicationMeter,
    Relaxation,
)
from core.solver.branch_and_bound.cuts.scenarios import make_tail, nth_largest, scenarios_of, worst_tail
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
    ROWS,
    SCENARIO_ROW,
    Lp,
    add_row,
    drop_slack_rows,
    make_lp,
    read_solution,
    rebuild,
    set_cost,
)
from core.solver.branch_and_bound.search import exploration
from core.solver.branch_and_bound.search.exploration import Exploration
from core.solver.branch_and_bound.search.incumbents import Incumbents
from core.solver.branch_and_bound.search.solve import Search
from core.solver.branch_and_bound.tree.open_nodes import (
    CURRENT_NODE,
    Tree,
    has_room,
    least_cost,
    load_node,
    make_tree,
    pop,
    push,
    save_parent,
    with_room,
)
from core.solver.cut_lp import MARGIN
from core.solver.feasibility import is_feasible, loss_tail, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram, Polytope, SolveControl, SolveOutcome
from core.solver.rows import dense_rows
from tests.unit.core.oracles import random_program
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


def relaxation_of(program: ChanceProgram) -> Relaxation:
    scenarios = scenarios_of(program, with_phase1_slack=False)
    return Relaxation(-program.objective, program.polytope, scenarios, MultiplicationMeter(SolveControl()))


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


def test_a_stored_node_comes_back_with_its_rows_and_its_optimum() -> None:
    program = tree_program()
    n, n_scenarios = len(program.objective), len(program.payoffs)
    best = BranchAndBoundBackend().maximize(program, SolveControl())
    portfolio = multiples(program, best.x)
    # The scenarios that the answer only just holds above 1 are the ones whose rows will be tight.
    required = (portfolio >= 1.0) & (portfolio < 1.1)
    gain = np.where(required, 0.0, 1.0)
    budget = float(program.max_losses)
    relaxation = relaxation_of(program)
    assert relaxation.solve(required, gain=gain, budget=budget) == OPTIMAL
    lp, n_base, decisions = relaxation.lp, relaxation.n_base, Decisions.none(n_scenarios)
    drop_slack_rows(lp)
    tree = make_tree(n, n_scenarios, capacity=1)
    assert not has_room(lp, n_base, tree)
    tree = with_room(tree, lp, n_base)
    parent = save_parent(lp, n_base, decisions, tree)
    push(tree, parent, 7, True, relaxation.bound, relaxation.bound, 1.0)
    assert SCENARIO_ROW in tree.parents.kind[parent, : tree.parents.n_rows[parent]]
    bound, rows = relaxation.bound, int(lp.counts[ROWS])
    assert relaxation.solve(required, gain=gain, budget=budget - 3.0) in (OPTIMAL, INFEASIBLE)
    drop_slack_rows(relaxation.lp)
    tree = with_room(tree, relaxation.lp, n_base)
    assert save_parent(relaxation.lp, n_base, decisions, tree) != parent
    load_node(relaxation.lp, n_base, relaxation.scenarios, decisions, tree)
    assert decisions.required.tolist() == [s == 7 for s in range(n_scenarios)]
    assert relaxation.lp.counts[ROWS] == rows
    assert relaxation.solve(required, gain=gain, budget=budget) == OPTIMAL
    assert relaxation.bound == pytest.approx(bound, rel=1e-9)


def test_open_nodes_come_best_first_and_equal_ones_in_the_order_they_came() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    tree = make_tree(1, 1, capacity=40)
    left: list[tuple[float, int]] = []
    for position in range(60):
        cost = float(rng.integers(0, 6))
        push(tree, 0, position, False, cost, cost, 1.0)
        left.append((cost, position))
        if rng.random() < 0.4:
            pop(tree)
            assert (tree.nodes["cost"][CURRENT_NODE], tree.nodes["scenario"][CURRENT_NODE]) == min(left)
            left.remove(min(left))
    for cost, position in sorted(left):
        assert least_cost(tree) == cost
        pop(tree)
        assert tree.nodes["scenario"][CURRENT_NODE] == position
    assert least_cost(tree) == np.inf


def test_a_tree_that_has_to_make_room_is_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    program = tree_program()
    expected = BranchAndBoundBackend().maximize(program, SolveControl())
    made = []

    def small(n: int, n_scenarios: int) -> Tree:
        return make_tree(n, n_scenarios, capacity=1)

    def room(tree: Tree, lp: Lp, n_base: int) -> Tree:
        made.append(with_room(tree, lp, n_base))
        return made[-1]

    monkeypatch.setattr("core.solver.branch_and_bound.search.exploration.make_tree", small)
    monkeypatch.setattr("core.solver.branch_and_bound.search.exploration.with_room", room)
    outcome = BranchAndBoundBackend().maximize(program, SolveControl())
    assert len(made) > 5
    assert outcome.x.tobytes() == expected.x.tobytes()
    assert (outcome.bound, outcome.nodes, outcome.work) == (expected.bound, expected.nodes, expected.work)


def tree_program(n_buckets: int = 10, n_scenarios: int = 80) -> ChanceProgram:
    """One that takes some hundred nodes."""
    rng = np.random.Generator(np.random.Philox(11))
    program = replace(random_program(rng, n_buckets, n_scenarios, cap=0.25), max_losses=n_scenarios, cvar_limit=1.0)
    best = BranchAndBoundBackend().maximize(program, SolveControl())
    assert best.x is not None
    losses = int(np.count_nonzero(multiples(program, best.x) < 1.0))
    return replace(program, max_losses=int(0.85 * losses))


def test_a_program_that_grows_between_two_walks_finds_as_much_room_for_its_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tree_program()
    expected = BranchAndBoundBackend().maximize(program, SolveControl())
    improve, walk, grown = Exploration._improve, exploration.explore, []

    def improve_grown(self: Exploration, decisions: Decisions) -> bool:
        self.program.relaxation.grow()
        grown.append(self.state.nodes)
        return improve(self, decisions)

    def walk_with_room(lp: Lp, scratch: Lp, *args: object) -> int:
        assert len(scratch.kind) >= len(lp.kind)
        return walk(lp, scratch, *args)

    monkeypatch.setattr(Exploration, "_improve", improve_grown)
    monkeypatch.setattr(exploration, "explore", walk_with_room)
    outcome = BranchAndBoundBackend().maximize(program, SolveControl())
    assert grown
    assert outcome.x.tobytes() == expected.x.tobytes()
    assert (outcome.bound, outcome.nodes) == (expected.bound, expected.nodes)


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


@pytest.mark.parametrize("stage", ["first linear program", "before the tree", "tree"])
def test_a_cancel_is_heard_within_a_bounded_amount_of_work(stage: str) -> None:
    """Between two questions whether to stop lies no more than one allowance and the pivots that end it."""
    program = tree_program()
    asked_at: list[int] = []
    stop_after = {"first linear program": 0, "before the tree": 40, "tree": 10**9}[stage]

    def interrupted() -> str | None:
        asked_at.append(search.meter.spent)
        return "cancelled" if len(asked_at) > stop_after or search.state.nodes >= 32 else None

    search = Search(program, SolveControl(interrupted=interrupted))
    with pytest.raises(Cancelled):
        search.run("branch-and-bound", None)
    assert (search.state.nodes >= 32) == (stage == "tree")
    between = np.diff([0, *asked_at, search.meter.spent])
    assert between.max() <= 2 * WORK_BETWEEN_PAUSES // MULTIPLICATIONS_PER_UNIT


def solved_asking(program: ChanceProgram, required: BoolArray) -> tuple[list[int], float]:
    """What had been spent each time the solve asked whether to stop, and its bound."""
    asked_at: list[int] = []
    meter = MultiplicationMeter(SolveControl(interrupted=lambda: asked_at.append(meter.spent)))
    relaxation = relaxation_of(program)
    relaxation.meter = meter
    assert relaxation.solve(required) == OPTIMAL
    return asked_at, relaxation.bound


def test_a_linear_program_that_used_its_allowance_asks_whether_to_stop_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.Generator(np.random.Philox(12))
    program = random_program(rng, 40, 300, cap=0.1)
    program = replace(program, payoffs=0.2 + rng.pareto(1.5, (300, 40)), cvar_limit=np.inf)
    required = program.payoffs.mean(axis=1) >= 1.2
    asked, bound = solved_asking(program, required)
    assert len(asked) == 1
    monkeypatch.setattr("core.solver.branch_and_bound.cuts.relaxation.WORK_BETWEEN_PAUSES", 1_000)
    asked, paused_bound = solved_asking(program, required)
    assert len(asked) > 4
    assert np.diff([0, *asked]).max() <= 4
    assert paused_bound == pytest.approx(bound, rel=1e-9)


def test_a_visit_that_used_its_allowance_asks_whether_to_stop_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    program = tree_program()
    asked = []
    control = SolveControl(interrupted=lambda: asked.append(None))
    whole = BranchAndBoundBackend().maximize(program, control)
    seldom = len(asked)
    monkeypatch.setattr("core.solver.branch_and_bound.search.exploration.WORK_BETWEEN_PAUSES", 1_000)
    paused = BranchAndBoundBackend().maximize(program, control)
    assert len(asked) - seldom > 1.5 * seldom
    assert paused.status == whole.status == "optimal"
    assert paused.objective == pytest.approx(whole.objective, rel=1e-4)
    assert paused.bound >= whole.objective * (1 - 1e-12)


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


class Defeated:
    name = "branch-and-bound"

    def maximize(self, program: ChanceProgram, control: SolveControl, start: object = None) -> SolveOutcome:
        raise SolverFailed("lost to rounding")


def test_highs_takes_over_a_defeated_solve_and_the_outcome_says_so() -> None:
    program = tree_program()
    outcome = WithFallback(Defeated()).maximize(program, SolveControl())
    assert outcome.backend == "highs"
    assert outcome.fallback == "branch-and-bound gave up: lost to rounding"
    expected = make_backend("branch-and-bound").maximize(program, SolveControl())
    assert outcome.objective == pytest.approx(expected.objective, rel=2e-4)
    assert expected.fallback is None


def test_without_numba_highs_answers_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "core.solver.branch_and_bound.backend", None)
    outcome = make_backend().maximize(tree_program(), SolveControl())
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
