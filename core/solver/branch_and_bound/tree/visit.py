"""One node of the tree, from its relaxation to the choice of a branch, in one kernel that can be interrupted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.jit import inlined
from core.solver.branch_and_bound.bounds.decisions import Decisions, fix_scenario, losses_left
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import gains, reduced_cost_fixing
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import relax
from core.solver.branch_and_bound.lp.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL, PAUSED, certified_objective
from core.solver.branch_and_bound.lp.tableau import WORK, Lp
from core.solver.branch_and_bound.tree.branching import BRANCH, PRUNE_BOTH, REQUIRE, PseudoCosts, choose, learn
from core.solver.program import LOSS_RESOLUTION, LOSS_THRESHOLD

NODE_PATIENCE = 12
ENOUGH_CHANGES = 2
FIXING_ROUNDS = 2

TO_BRANCH, PRUNED, LEAF, FRACTIONAL = 6, 7, 8, 9
"""Verdicts of a visit beside those of the dual simplex. FRACTIONAL: relaxed, not a leaf, not branched yet."""

RELAX, CHOOSE = 0, 1
"""Stages of a visit."""
STAGE, ROUND, BRANCH_SCENARIO, LEARNT = 0, 1, 2, 3
COST, CHILDREN = 0, slice(1, 3)
"""Places in a visit's `counts` and `values`."""


class Visit(NamedTuple):
    """How far a visit is. counts: (4,) by STAGE, ROUND, BRANCH_SCENARIO, LEARNT; values: (3,) the node's bound and
    those of its children, all certified; x: (n,), multiples: (S,) of its relaxation; gain: (S,) of its chance cut."""

    counts: IntArray
    values: FloatArray
    x: FloatArray
    multiples: FloatArray
    gain: FloatArray


class IncomingBranch(NamedTuple):
    """The branch that led to a node: its scenario (-1 at the root), side and distance, and the bound before it."""

    scenario: int
    side: int
    distance: float
    parent_cost: float


@inlined
def process(
    lp: Lp,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    max_losses: int,
    cutoff: float,
    allowance: int,
) -> int:
    """Relax and fix by reduced costs until little changes: OPTIMAL, or why not."""
    while True:
        left = losses_left(decisions, max_losses)
        if left < 0:
            return INFEASIBLE
        gains(decisions, visit.gain)
        verdict = relax(
            lp,
            scenarios,
            decisions.required,
            visit.gain,
            float(left),
            LOSS_THRESHOLD,
            LOSS_RESOLUTION,
            cutoff,
            NODE_PATIENCE,
            allowance,
            visit.x,
            visit.multiples,
        )
        if verdict != OPTIMAL or visit.counts[ROUND] == FIXING_ROUNDS or cutoff == np.inf:
            return verdict
        visit.counts[ROUND] += 1
        # The others are in no chance cut here; they are looked at in the node where they lose.
        changed = reduced_cost_fixing(lp, scenarios, visit.multiples, cutoff, decisions, LOSS_THRESHOLD)
        left = losses_left(decisions, max_losses)
        if left < 0:
            return INFEASIBLE
        if changed == 0 or (changed < ENOUGH_CHANGES and left > 0):
            # No branching on what is decided.
            gains(decisions, visit.gain)
            return OPTIMAL


@inlined
def is_leaf(multiples: FloatArray, gain: FloatArray, left: int) -> bool:
    """No more scenarios are below the threshold than may be."""
    below = 0
    for s in range(len(gain)):
        below += gain[s] > 0.0 and multiples[s] < LOSS_THRESHOLD
    return below <= left


@inlined
def assess(
    lp: Lp,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    pseudo: PseudoCosts,
    incoming: IncomingBranch,
    max_losses: int,
    cutoff: float,
    allowance: int,
) -> int:
    """Process the node, learn from its bound; PRUNED, LEAF, FRACTIONAL, or why the linear program was left."""
    verdict = process(lp, scenarios, decisions, visit, max_losses, cutoff, allowance)
    if verdict in (INFEASIBLE, CUT_OFF):
        return PRUNED
    if verdict != OPTIMAL:
        return verdict
    visit.values[COST] = certified_objective(lp)
    if incoming.scenario >= 0 and visit.counts[LEARNT] == 0:
        learn(pseudo, incoming.side, incoming.scenario, visit.values[COST] - incoming.parent_cost, incoming.distance)
        visit.counts[LEARNT] = 1
    visit.counts[STAGE] = CHOOSE
    return LEAF if is_leaf(visit.multiples, visit.gain, losses_left(decisions, max_losses)) else FRACTIONAL


@inlined
def visit_node(
    lp: Lp,
    scratch: Lp,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    pseudo: PseudoCosts,
    incoming: IncomingBranch,
    max_losses: int,
    cutoff: float,
    allowance: int,
    stop_if_fractional: bool,
) -> int:
    """Relax, fix by reduced costs and choose; again where a trial decides a scenario. Call again to go on from PAUSED,
    FULL, LEAF or FRACTIONAL.

    scratch: with room for what lp has. allowance: work after which to pause. stop_if_fractional: return FRACTIONAL
    before the choice.
    """
    stage, end = visit.counts, lp.counts[WORK] + allowance
    while True:
        if stage[STAGE] != CHOOSE:
            verdict = assess(lp, scenarios, decisions, visit, pseudo, incoming, max_losses, cutoff, allowance)
            if verdict != FRACTIONAL or stop_if_fractional:
                return verdict
        budget = float(losses_left(decisions, max_losses))
        bounds = visit.values[CHILDREN]
        s, choice = choose(lp, scratch, scenarios, visit.multiples, visit.gain, budget, cutoff, pseudo, bounds)
        stage[BRANCH_SCENARIO] = s
        if choice == BRANCH:
            return TO_BRANCH
        if choice == PRUNE_BOTH:
            return PRUNED
        fix_scenario(decisions, s, choice == REQUIRE)
        stage[STAGE] = RELAX
        stage[ROUND] = 0
        if lp.counts[WORK] > end:
            return PAUSED
