"""Open nodes of the branch and bound: stored, ordered, and moved to where there is room."""

from __future__ import annotations

import numpy as np
import pytest

from core.solver.branch_and_bound.backend import BranchAndBoundBackend
from core.solver.branch_and_bound.bounds.decisions import Decisions
from core.solver.branch_and_bound.lp.dual_simplex import (
    INFEASIBLE,
    OPTIMAL,
)
from core.solver.branch_and_bound.lp.tableau import (
    ROWS,
    SCENARIO_ROW,
    Lp,
    drop_slack_rows,
)
from core.solver.branch_and_bound.search import exploration
from core.solver.branch_and_bound.search.exploration import Exploration
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
from core.solver.feasibility import multiples
from core.solver.program import SolveControl
from tests.unit.core.tree_programs import relaxation_of, tree_program


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
