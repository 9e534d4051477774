"""The tree: best bound first, with dives, until nothing is open or what is left cannot matter."""

from __future__ import annotations

import numpy as np

from core.solver.branch_and_bound.decisions import Decisions
from core.solver.branch_and_bound.knowledge import Knowledge
from core.solver.branch_and_bound.node_program import NodeProgram
from core.solver.branch_and_bound.tree import CutPool, Node, OpenNodes, load_rows
from core.solver.branch_and_bound.visit import CHILDREN, COST, LEAF, PRUNED, TO_BRANCH
from core.solver.cut_lp import MARGIN

HEURISTIC_EVERY = 20
REPORT_EVERY = 16
LEAF_PATIENCE = 10_000
DIVE_WIDTH = 0.1
"""A dive goes on while its bound is within this share of the way from the best open node's to the cut-off."""


class Exploration:
    """Branches on scenarios: one child must not lose there, the other gives one of its losses to it."""

    def __init__(self, program: NodeProgram, known: Knowledge) -> None:
        self.program = program
        self.known = known
        self.open_nodes = OpenNodes()
        self.pool = CutPool(len(program.relaxation.x))
        self.unresolved = np.inf

    def run(self, decisions: Decisions) -> bool:
        """From the root at hand; True when nothing but what was found is left."""
        root = self.program.cost
        node: Node | None = self._node(root, decisions)
        while node is not None or len(self.open_nodes):
            loaded = node is not None
            if node is None:
                node = self.open_nodes.pop()
            if node.cost > self.known.cutoff:
                self.known.overtake()
                node = None
                continue
            self.known.improve_bound(min(node.cost, self.open_nodes.least_cost, self.unresolved))
            self.known.nodes += 1
            self.known.meter.charge_node()
            if self.known.nodes % REPORT_EVERY == 0:
                self.known.report()
            node = self._visit(node, loaded=loaded)
            if self.known.is_closed():
                return False
        self.known.exhausted(self.unresolved)
        return self.unresolved == np.inf

    def _node(self, cost: float, decisions: Decisions) -> Node:
        relaxation = self.program.relaxation
        basis = self.pool.save(relaxation.lp, relaxation.n_base, self.open_nodes)
        return Node(cost, decisions, basis, -1, False, cost)

    def _visit(self, node: Node, *, loaded: bool) -> Node | None:
        """Process the node and branch; the child to dive into, if any."""
        program, known = self.program, self.known
        decisions = node.own_decisions()
        if not loaded:
            self._load(node)
        program.begin()
        is_to_improve = known.nodes % HEURISTIC_EVERY == 1
        while True:
            verdict = program.go_on(node, decisions, says=is_to_improve)
            if verdict == PRUNED:
                return None
            node.cost = max(node.cost, float(program.visit.values[COST]))
            if verdict == TO_BRANCH:
                return self._branch(node, decisions)
            if verdict == LEAF:
                if self._settle_leaf(node, decisions):
                    return None
            elif self._improve(node, decisions):
                return None

    def _improve(self, node: Node, decisions: Decisions) -> bool:
        """Look for answers near the node's relaxation; True when one overtakes the node."""
        self.known.incumbents.improve(self.program.likely_losses(decisions), self.known.meter.limit)
        if node.cost <= self.known.cutoff:
            return False
        self.known.overtake()
        return True

    def _settle_leaf(self, node: Node, decisions: Decisions) -> bool:
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
            self.unresolved = min(self.unresolved, node.cost)
            return True
        return False

    def _branch(self, node: Node, decisions: Decisions) -> Node | None:
        here = node.cost
        s, shortfall, unused = self.program.takes()
        kept_cost, lost_cost = self.program.visit.values[CHILDREN].tolist()
        basis = self._node(here, decisions).basis
        children = [
            Node(max(here, kept_cost), decisions, basis, s, True, here, shortfall),
            Node(max(here, lost_cost), decisions, basis, s, False, here, unused),
        ]
        first, second = sorted(children, key=lambda child: child.cost)
        self.open_nodes.push(second)
        least, cutoff = min(self.open_nodes.least_cost, first.cost), self.known.cutoff
        if not np.isfinite(cutoff) or first.cost <= least + DIVE_WIDTH * (cutoff - least):
            return first
        self.open_nodes.push(first)
        return None

    def _load(self, node: Node) -> None:
        relaxation, basis = self.program.relaxation, node.basis
        relaxation.make_room(relaxation.n_base + len(basis.kind))
        load_rows(
            relaxation.lp,
            relaxation.n_base,
            relaxation.scenarios,
            basis.kind,
            basis.tag,
            self.pool.rows,
            self.pool.low,
            basis.nonbasic,
            basis.at_upper,
        )
