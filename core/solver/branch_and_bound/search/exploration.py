"""The tree: best bound first, with dives, until nothing is open or what is left cannot matter.

`explore` walks it in compiled code from node to node and comes back where an answer may be found, where room has run
out and, after some hundredths of a second, to let the caller interrupt. It goes on where it left the current node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.errors import SolverFailed
from core.jit import inlined, kernel
from core.solver.branch_and_bound.bounds.decisions import Decisions, fix_scenario
from core.solver.branch_and_bound.cuts.relaxation import (
    MOST_PAUSES,
    MULTIPLICATIONS_PER_UNIT,
    NODE_MULTIPLICATIONS,
    SPARE_ROWS,
    WORK_BETWEEN_PAUSES,
)
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.lp.dual_simplex import FULL, PAUSED, UNPROVEN
from core.solver.branch_and_bound.lp.tableau import WORK, Lp, drop_slack_rows
from core.solver.branch_and_bound.search.node_program import NodeProgram
from core.solver.branch_and_bound.search.search_state import SearchState
from core.solver.branch_and_bound.tree.branching import PseudoCosts, branch_distances
from core.solver.branch_and_bound.tree.open_nodes import (
    CURRENT_NODE,
    OPEN,
    VISITED,
    Tree,
    fill,
    has_room,
    least_cost,
    load_node,
    make_tree,
    next_rows,
    push,
    save_parent,
    with_room,
)
from core.solver.branch_and_bound.tree.visit import (
    BRANCH_SCENARIO,
    CHILDREN,
    COST,
    FRACTIONAL,
    LEAF,
    PRUNED,
    STAGE,
    TO_BRANCH,
    IncomingBranch,
    Visit,
    visit_node,
)
from core.solver.cut_lp import MARGIN

HEURISTIC_EVERY = 20
LEAF_PATIENCE = 10_000
LOCAL_SEARCH_SHARE = 0.2
"""Of the tree's work, for local search from the losses at some of its nodes."""
DIVE_WINDOW = 0.1
"""A dive goes on while its bound is within this share of the way from the best open node's to the cut-off."""

NO_NODE, LOADED, BRANCHING = 2, 3, 4
"""Stages beside those of a visit: no current node; one that has not been visited; one that is to be branched."""

NODE_LOADED, EXHAUSTED, CLOSED, NO_ROOM = 10, 11, 12, 13
"""Verdicts beside those of a visit. EXHAUSTED: nothing is open; CLOSED: what is open cannot matter; NO_ROOM: the tree
needs more places."""


class ExploreLimits(NamedTuple):
    """What prunes nodes, and when to return.

    cutoff: costs above it are of no interest. best: the best objective; allowed_gap: to it, negative
    while there is no answer; unresolved: the least cost that could not be settled. allowance: work after which a visit
    pauses; pause_after: work after which the walk pauses between visits.
    """

    max_losses: int
    cutoff: float
    best: float
    allowed_gap: float
    unresolved: float
    allowance: int
    pause_after: int


@inlined
def lowest(tree: Tree, visit: Visit, unresolved: float) -> float:
    """The least cost of the open nodes, the current one and what is unresolved."""
    least = min(least_cost(tree), unresolved)
    return least if visit.counts[STAGE] == NO_NODE else min(least, tree.nodes[CURRENT_NODE].cost)


@inlined
def load_next_node(
    lp: Lp,
    n_base: int,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    tree: Tree,
    limits: ExploreLimits,
    end: int,
) -> int:
    """Make a node that is not pruned the current one, if there is none: NODE_LOADED, or why not."""
    while visit.counts[STAGE] in (NO_NODE, LOADED):
        if visit.counts[STAGE] == NO_NODE:
            if tree.counts[OPEN] == 0 or least_cost(tree) > limits.cutoff:
                return EXHAUSTED
            if n_base + next_rows(tree) + SPARE_ROWS // 4 > len(lp.kind):
                return FULL
            load_node(lp, n_base, scenarios, decisions, tree)
            visit.counts[STAGE] = LOADED
        if tree.nodes[CURRENT_NODE].cost > limits.cutoff:
            visit.counts[STAGE] = NO_NODE
            continue
        if -lowest(tree, visit, limits.unresolved) - limits.best <= limits.allowed_gap:
            return CLOSED
        if lp.counts[WORK] > end:
            return PAUSED
        tree.counts[VISITED] += 1
        lp.counts[WORK] += NODE_MULTIPLICATIONS
        visit.counts[:] = 0
    return NODE_LOADED


@inlined
def branch(lp: Lp, n_base: int, decisions: Decisions, visit: Visit, tree: Tree, cutoff: float) -> None:
    """Branch: one child becomes an open node, the better one the current node if a dive goes on, else open, too."""
    node = tree.nodes[CURRENT_NODE]
    here, s = node.cost, visit.counts[BRANCH_SCENARIO]
    shortfall, unused = branch_distances(visit.multiples, visit.gain, s)
    if_required, if_lost = max(here, visit.values[CHILDREN][0]), max(here, visit.values[CHILDREN][1])
    parent = save_parent(lp, n_base, decisions, tree)
    required = if_required <= if_lost
    cost, distance = (if_required, shortfall) if required else (if_lost, unused)
    push(tree, parent, s, not required, max(if_required, if_lost), here, unused if required else shortfall)
    least = min(least_cost(tree), cost)
    if not np.isfinite(cutoff) or cost <= least + DIVE_WINDOW * (cutoff - least):
        fill(node, parent, s, required, cost, here, distance)
        fix_scenario(decisions, s, required)
        visit.counts[STAGE] = LOADED
    else:
        push(tree, parent, s, required, cost, here, distance)
        visit.counts[STAGE] = NO_NODE


@kernel
def explore(
    lp: Lp,
    scratch: Lp,
    n_base: int,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    pseudo: PseudoCosts,
    tree: Tree,
    limits: ExploreLimits,
) -> int:
    """Visit nodes and branch until there is one of the verdicts LEAF, FRACTIONAL, EXHAUSTED, CLOSED, NO_ROOM, FULL,
    PAUSED, UNPROVEN. Call again to go on.

    n_base: rows of the polytope. decisions: of the current node. scratch: with room for what lp has.
    """
    end, stage = lp.counts[WORK] + limits.pause_after, visit.counts
    while True:
        verdict = load_next_node(lp, n_base, scenarios, decisions, visit, tree, limits, end)
        if verdict != NODE_LOADED:
            return verdict
        node = tree.nodes[CURRENT_NODE]
        if stage[STAGE] != BRANCHING:
            incoming = IncomingBranch(node.scenario, 0 if node.required else 1, node.distance, node.parent_cost)
            stop_if_fractional = tree.counts[VISITED] % HEURISTIC_EVERY == 1
            verdict = visit_node(
                lp,
                scratch,
                scenarios,
                decisions,
                visit,
                pseudo,
                incoming,
                limits.max_losses,
                limits.cutoff,
                limits.allowance,
                stop_if_fractional,
            )
            if verdict == PRUNED:
                stage[STAGE] = NO_NODE
                continue
            if verdict in (TO_BRANCH, LEAF, FRACTIONAL):
                node.cost = max(node.cost, visit.values[COST])
            if verdict != TO_BRANCH:
                return verdict
            drop_slack_rows(lp)
            stage[STAGE] = BRANCHING
        if not has_room(lp, n_base, tree):
            return NO_ROOM
        branch(lp, n_base, decisions, visit, tree, limits.cutoff)


class Exploration:
    """Branches on scenarios: one child must not lose there, the other gives one of its losses to it."""

    def __init__(self, program: NodeProgram, state: SearchState) -> None:
        self.program = program
        self.state = state
        self.unresolved = np.inf
        relaxation, n_scenarios = program.relaxation, len(program.gain)
        self._visit = Visit(np.zeros(4, dtype=np.int64), np.zeros(3), relaxation.x, relaxation.multiples, program.gain)
        self._pseudo_costs = PseudoCosts.none(n_scenarios)
        self._tree = make_tree(len(relaxation.x), n_scenarios)
        self._scratch = relaxation.snapshot()
        self._pauses = 0
        self._began = state.meter.spent
        self._local_search_work = 0

    def run(self, decisions: Decisions) -> bool:
        """From the root, which is loaded; True when nothing but what was found is left.

        Raises SolverFailed when rounding defeats a linear program.
        """
        root = self.program.cost
        self._tree.nodes[CURRENT_NODE] = (root, root, np.inf, 0, -1, -1, False)
        self._visit.counts[STAGE] = LOADED
        while True:
            verdict = self._explore(decisions)
            if verdict == EXHAUSTED:
                self.state.exhausted(self.unresolved)
                return self.unresolved == np.inf
            self.state.improve_bound(lowest(self._tree, self._visit, self.unresolved))
            self.state.report()
            if (verdict == LEAF and self._close_leaf(decisions)) or (
                verdict == FRACTIONAL and self._improve(decisions)
            ):
                self._visit.counts[STAGE] = NO_NODE
            if self.state.is_closed():
                return False

    def _explore(self, decisions: Decisions) -> int:
        """The verdict of `explore`, its work charged, room made. Raises LimitReached, Cancelled, SolverFailed."""
        relaxation, state = self.program.relaxation, self.state
        cutoff, found, visited = state.cutoff, state.incumbents.x is not None, state.nodes
        if np.isfinite(cutoff):
            state.prune_by_cutoff()
        if len(self._scratch.kind) < len(relaxation.lp.kind):
            self._scratch = relaxation.snapshot()
        limits = ExploreLimits(
            max_losses=state.max_losses,
            cutoff=cutoff,
            best=state.incumbents.objective,
            allowed_gap=state.allowed_gap if found else -1.0,
            unresolved=self.unresolved,
            allowance=WORK_BETWEEN_PAUSES,
            pause_after=min(WORK_BETWEEN_PAUSES, state.meter.remaining * MULTIPLICATIONS_PER_UNIT),
        )
        verdict: int = explore(
            relaxation.lp,
            self._scratch,
            relaxation.n_base,
            relaxation.scenarios,
            decisions,
            self._visit,
            self._pseudo_costs,
            self._tree,
            limits,
        )
        state.nodes = int(self._tree.counts[VISITED])
        state.meter.charge(relaxation.lp)
        if verdict == FULL:
            relaxation.grow()
        elif verdict == NO_ROOM:
            self._tree = with_room(self._tree, relaxation.lp, relaxation.n_base)
        self._pauses = self._pauses + 1 if verdict in (PAUSED, FULL) and state.nodes == visited else 0
        if verdict == UNPROVEN or self._pauses == MOST_PAUSES:
            raise SolverFailed("branch and bound: a linear program was lost to rounding")
        return verdict

    def _improve(self, decisions: Decisions) -> bool:
        """Look for answers near the relaxation of the current node; True when one prunes it."""
        incumbents, meter = self.state.incumbents, self.state.meter
        portfolio = self.program.likely_losses(decisions)
        incumbents.improve(portfolio, meter.limit)
        before = meter.spent
        if self._local_search_work <= LOCAL_SEARCH_SHARE * (before - self._began):
            incumbents.local_search(incumbents.worst(portfolio), meter.limit)
            self._local_search_work += meter.spent - before
        if self._current_cost <= self.state.cutoff:
            return False
        self.state.prune_by_cutoff()
        return True

    def _close_leaf(self, decisions: Decisions) -> bool:
        """Answers from the leaf; True when they close it, or when no scenario is left to branch on."""
        program, state = self.program, self.state
        if not program.relax(decisions, LEAF_PATIENCE):
            return True
        if not program.is_leaf(decisions):
            return False
        portfolio = program.likely_losses(decisions)
        state.incumbents.offer(program.relaxed_point())
        for margin in (MARGIN, 0.0):
            if program.cost <= state.cutoff:
                state.incumbents.fix_losses(portfolio, margin)
        if state.is_closed():
            return True
        if program.cost > state.cutoff:
            state.prune_by_cutoff()
            return True
        if not (program.gain > 0.0).any():
            # Answers a hair below the threshold of a loss: within the proof's tolerance, too near to be trusted.
            self.unresolved = min(self.unresolved, self._current_cost)
            return True
        return False

    @property
    def _current_cost(self) -> float:
        return float(self._tree.nodes["cost"][CURRENT_NODE])
