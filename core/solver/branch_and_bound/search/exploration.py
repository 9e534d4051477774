"""The tree: best bound first, with dives, until nothing is open or what is left cannot matter.

`explore` walks it in compiled code from node to node and comes back where an answer may be found, where room has run
out and, after some hundredths of a second, to be asked whether to go on. It goes on where it left the node in hand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.errors import SolverFailed
from core.jit import inlined, kernel
from core.solver.branch_and_bound.bounds.decisions import Decisions, decide
from core.solver.branch_and_bound.cuts.relaxation import (
    ALLOWANCE,
    ENTRIES_PER_UNIT,
    MOST_PAUSES,
    NODE_ENTRIES,
    SPARE_ROWS,
)
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.lp.dual_simplex import FULL, PAUSED, UNPROVEN
from core.solver.branch_and_bound.lp.tableau import WORK, Lp, drop_slack_rows
from core.solver.branch_and_bound.search.node_program import NodeProgram
from core.solver.branch_and_bound.search.search_state import SearchState
from core.solver.branch_and_bound.tree.branching import PseudoCosts, takes
from core.solver.branch_and_bound.tree.open_nodes import (
    HAND,
    OPEN,
    VISITED,
    Tree,
    fill,
    has_room,
    least_cost,
    make_tree,
    next_rows,
    push,
    save_fork,
    take_up,
    with_room,
)
from core.solver.branch_and_bound.tree.visit import (
    CHILDREN,
    COST,
    LEAF,
    PRUNED,
    SCENARIO,
    STAGE,
    STANDS,
    TO_BRANCH,
    Arrival,
    Visit,
    visit_node,
)
from core.solver.cut_lp import MARGIN

HEURISTIC_EVERY = 20
LEAF_PATIENCE = 10_000
CLIMBING_SHARE = 0.2
"""Of the tree's work, to climb from the losses of some of its nodes."""
DIVE_WIDTH = 0.1
"""A dive goes on while its bound is within this share of the way from the best open node's to the cut-off."""

EMPTY, ARRIVED, FORKING = 2, 3, 4
"""Stages beside those of a visit: nothing in hand; a node that nobody has looked at; one that is to be branched."""

ON_HAND, EXHAUSTED, CLOSED, NO_ROOM = 10, 11, 12, 13
"""Verdicts beside those of a visit. EXHAUSTED: nothing is open; CLOSED: what is open cannot matter; NO_ROOM: the tree
needs more places."""


class Terms(NamedTuple):
    """On which the tree is walked.

    cutoff: costs above it are of no interest. best: the best objective; room: the gap to it that is allowed, negative
    while there is no answer; unresolved: the least cost that could not be settled. allowance: work after which a visit
    pauses; pause_after: work after which the walk pauses between visits.
    """

    max_losses: int
    cutoff: float
    best: float
    room: float
    unresolved: float
    allowance: int
    pause_after: int


@inlined
def lowest(tree: Tree, visit: Visit, unresolved: float) -> float:
    """The least cost of what is open, in hand or unresolved."""
    least = min(least_cost(tree), unresolved)
    return least if visit.counts[STAGE] == EMPTY else min(least, tree.nodes[HAND].cost)


@inlined
def arrive(
    lp: Lp, n_base: int, scenarios: Scenarios, decisions: Decisions, visit: Visit, tree: Tree, terms: Terms, end: int
) -> int:
    """A node that matters into the hand, if there is none: ON_HAND, or why not."""
    while visit.counts[STAGE] in (EMPTY, ARRIVED):
        if visit.counts[STAGE] == EMPTY:
            if tree.counts[OPEN] == 0 or least_cost(tree) > terms.cutoff:
                return EXHAUSTED
            if n_base + next_rows(tree) + SPARE_ROWS // 4 > len(lp.kind):
                return FULL
            take_up(lp, n_base, scenarios, decisions, tree)
            visit.counts[STAGE] = ARRIVED
        if tree.nodes[HAND].cost > terms.cutoff:
            visit.counts[STAGE] = EMPTY
            continue
        if -lowest(tree, visit, terms.unresolved) - terms.best <= terms.room:
            return CLOSED
        if lp.counts[WORK] > end:
            return PAUSED
        tree.counts[VISITED] += 1
        lp.counts[WORK] += NODE_ENTRIES
        visit.counts[:] = 0
    return ON_HAND


@inlined
def branch(lp: Lp, n_base: int, decisions: Decisions, visit: Visit, tree: Tree, cutoff: float) -> None:
    """Fork the node in hand: one child is open, the better one the next in hand if a dive goes on, else open, too."""
    node = tree.nodes[HAND]
    here, s = node.cost, visit.counts[SCENARIO]
    shortfall, unused = takes(visit.multiples, visit.gain, s)
    kept, lost = max(here, visit.values[CHILDREN][0]), max(here, visit.values[CHILDREN][1])
    fork = save_fork(lp, n_base, decisions, tree)
    keeps = kept <= lost
    cost, taken = (kept, shortfall) if keeps else (lost, unused)
    push(tree, fork, s, not keeps, max(kept, lost), here, unused if keeps else shortfall)
    least = min(least_cost(tree), cost)
    if not np.isfinite(cutoff) or cost <= least + DIVE_WIDTH * (cutoff - least):
        fill(node, fork, s, keeps, cost, here, taken)
        decide(decisions, s, keeps)
        visit.counts[STAGE] = ARRIVED
    else:
        push(tree, fork, s, keeps, cost, here, taken)
        visit.counts[STAGE] = EMPTY


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
    terms: Terms,
) -> int:
    """Visit nodes and branch until there is one of the verdicts LEAF, STANDS, EXHAUSTED, CLOSED, NO_ROOM, FULL, PAUSED,
    UNPROVEN. Call again to go on.

    n_base: rows of the polytope. decisions: of the node in hand. scratch: with room for what lp has.
    """
    end, stage = lp.counts[WORK] + terms.pause_after, visit.counts
    while True:
        verdict = arrive(lp, n_base, scenarios, decisions, visit, tree, terms, end)
        if verdict != ON_HAND:
            return verdict
        node = tree.nodes[HAND]
        if stage[STAGE] != FORKING:
            arrival = Arrival(node.scenario, 0 if node.keeps else 1, node.taken, node.parent_cost)
            says = tree.counts[VISITED] % HEURISTIC_EVERY == 1
            verdict = visit_node(
                lp,
                scratch,
                scenarios,
                decisions,
                visit,
                pseudo,
                arrival,
                terms.max_losses,
                terms.cutoff,
                terms.allowance,
                says,
            )
            if verdict == PRUNED:
                stage[STAGE] = EMPTY
                continue
            if verdict in (TO_BRANCH, LEAF, STANDS):
                node.cost = max(node.cost, visit.values[COST])
            if verdict != TO_BRANCH:
                return verdict
            drop_slack_rows(lp)
            stage[STAGE] = FORKING
        if not has_room(lp, n_base, tree):
            return NO_ROOM
        branch(lp, n_base, decisions, visit, tree, terms.cutoff)


class Exploration:
    """Branches on scenarios: one child must not lose there, the other gives one of its losses to it."""

    def __init__(self, program: NodeProgram, known: SearchState) -> None:
        self.program = program
        self.known = known
        self.unresolved = np.inf
        relaxation, n_scenarios = program.relaxation, len(program.gain)
        self._visit = Visit(np.zeros(4, dtype=np.int64), np.zeros(3), relaxation.x, relaxation.multiples, program.gain)
        self._pseudo_costs = PseudoCosts.none(n_scenarios)
        self._tree = make_tree(len(relaxation.x), n_scenarios)
        self._scratch = relaxation.snapshot()
        self._pauses = 0
        self._began = known.meter.spent
        self._climbing = 0

    def run(self, decisions: Decisions) -> bool:
        """From the root at hand; True when nothing but what was found is left.

        Raises SolverFailed when rounding defeats a linear program.
        """
        root = self.program.cost
        self._tree.nodes[HAND] = (root, root, np.inf, 0, -1, -1, False)
        self._visit.counts[STAGE] = ARRIVED
        while True:
            verdict = self._explore(decisions)
            if verdict == EXHAUSTED:
                self.known.exhausted(self.unresolved)
                return self.unresolved == np.inf
            self.known.improve_bound(lowest(self._tree, self._visit, self.unresolved))
            self.known.report()
            if (verdict == LEAF and self._settle_leaf(decisions)) or (verdict == STANDS and self._improve(decisions)):
                self._visit.counts[STAGE] = EMPTY
            if self.known.is_closed():
                return False

    def _explore(self, decisions: Decisions) -> int:
        """The verdict of `explore`, its work charged, room made. Raises LimitReached, Cancelled, SolverFailed."""
        relaxation, known = self.program.relaxation, self.known
        cutoff, found, visited = known.cutoff, known.incumbents.x is not None, known.nodes
        if np.isfinite(cutoff):
            known.overtake()
        if len(self._scratch.kind) < len(relaxation.lp.kind):
            self._scratch = relaxation.snapshot()
        terms = Terms(
            max_losses=known.max_losses,
            cutoff=cutoff,
            best=known.incumbents.objective,
            room=known.room if found else -1.0,
            unresolved=self.unresolved,
            allowance=ALLOWANCE,
            pause_after=min(ALLOWANCE, known.meter.remaining * ENTRIES_PER_UNIT),
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
            terms,
        )
        known.nodes = int(self._tree.counts[VISITED])
        known.meter.charge(relaxation.lp)
        if verdict == FULL:
            relaxation.grow()
        elif verdict == NO_ROOM:
            self._tree = with_room(self._tree, relaxation.lp, relaxation.n_base)
        self._pauses = self._pauses + 1 if verdict in (PAUSED, FULL) and known.nodes == visited else 0
        if verdict == UNPROVEN or self._pauses == MOST_PAUSES:
            raise SolverFailed("branch and bound: a linear program was lost to rounding")
        return verdict

    def _improve(self, decisions: Decisions) -> bool:
        """Look for answers near the relaxation of the node in hand; True when one overtakes it."""
        incumbents, meter = self.known.incumbents, self.known.meter
        portfolio = self.program.likely_losses(decisions)
        incumbents.improve(portfolio, meter.limit)
        before = meter.spent
        if self._climbing <= CLIMBING_SHARE * (before - self._began):
            incumbents.climb(incumbents.worst(portfolio), meter.limit)
            self._climbing += meter.spent - before
        if self._cost_in_hand <= self.known.cutoff:
            return False
        self.known.overtake()
        return True

    def _settle_leaf(self, decisions: Decisions) -> bool:
        """Answers from the leaf; True when they close it, or when no scenario is left to branch on."""
        program, known = self.program, self.known
        if not program.relax(decisions, LEAF_PATIENCE):
            return True
        if not program.is_leaf(decisions):
            return False
        portfolio = program.likely_losses(decisions)
        known.incumbents.offer(program.relaxed_point())
        for margin in (MARGIN, 0.0):
            if program.cost <= known.cutoff:
                known.incumbents.settle(portfolio, margin)
        if known.is_closed():
            return True
        if program.cost > known.cutoff:
            known.overtake()
            return True
        if not (program.gain > 0.0).any():
            # Answers a hair below the threshold of a loss: within the proof's tolerance, too near to be trusted.
            self.unresolved = min(self.unresolved, self._cost_in_hand)
            return True
        return False

    @property
    def _cost_in_hand(self) -> float:
        return float(self._tree.nodes["cost"][HAND])
