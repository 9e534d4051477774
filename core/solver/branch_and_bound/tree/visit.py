"""One node of the tree, from its relaxation to the choice of a branch, in one kernel that can be interrupted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.jit import inlined
from core.solver.branch_and_bound.bounds.decisions import Decisions, decide, losses_left
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import gains, tighten
from core.solver.branch_and_bound.cuts.relaxation import RESOLUTION
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import THRESHOLD, relax
from core.solver.branch_and_bound.lp.dual_simplex import CUT_OFF, INFEASIBLE, OPTIMAL, PAUSED, certified_objective
from core.solver.branch_and_bound.lp.tableau import WORK, Lp
from core.solver.branch_and_bound.tree.branching import BRANCH, KEEP, NEITHER, PseudoCosts, choose, learn

PATIENCE = 12
ENOUGH_CHANGES = 2
TIGHTENINGS = 2

TO_BRANCH, PRUNED, LEAF, STANDS = 6, 7, 8, 9
"""Verdicts of a visit beside those of the dual simplex. STANDS: relaxed, no leaf, and asked to say so."""

RELAX, CHOOSE = 0, 1
"""Stages of a visit."""
STAGE, ROUND, SCENARIO, LEARNT = 0, 1, 2, 3
COST, CHILDREN = 0, slice(1, 3)
"""Places in a visit's `counts` and `values`."""


class Visit(NamedTuple):
    """Where a visit stands. counts: (4,) by STAGE, ROUND, SCENARIO, LEARNT; values: (3,) the node's bound and those of
    its children, all certified; x: (n,), multiples: (S,) of its relaxation; gain: (S,) of its chance cut."""

    counts: IntArray
    values: FloatArray
    x: FloatArray
    multiples: FloatArray
    gain: FloatArray


class Arrival(NamedTuple):
    """The branch that led to a node: its scenario (-1 at the root), side and what it took, and the bound before it."""

    scenario: int
    side: int
    taken: float
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
    """Relax and tighten until little moves: OPTIMAL, or why not."""
    while True:
        left = losses_left(decisions, max_losses)
        if left < 0:
            return INFEASIBLE
        gains(decisions, visit.gain)
        verdict = relax(
            lp,
            scenarios,
            decisions.must,
            visit.gain,
            float(left),
            THRESHOLD,
            RESOLUTION,
            cutoff,
            PATIENCE,
            allowance,
            visit.x,
            visit.multiples,
        )
        if verdict != OPTIMAL or visit.counts[ROUND] == TIGHTENINGS or cutoff == np.inf:
            return verdict
        visit.counts[ROUND] += 1
        # The others are in no chance cut here; they have their turn at the node where they lose.
        changed = tighten(lp, scenarios, visit.multiples, cutoff, decisions, THRESHOLD)
        left = losses_left(decisions, max_losses)
        if left < 0:
            return INFEASIBLE
        if changed == 0 or (changed < ENOUGH_CHANGES and left > 0):
            # What was decided must not be branched on.
            gains(decisions, visit.gain)
            return OPTIMAL


@inlined
def is_leaf(multiples: FloatArray, gain: FloatArray, left: int) -> bool:
    """No more scenarios are below the threshold than may be."""
    below = 0
    for s in range(len(gain)):
        below += gain[s] > 0.0 and multiples[s] < THRESHOLD
    return below <= left


@inlined
def assess(
    lp: Lp,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    pseudo: PseudoCosts,
    arrival: Arrival,
    max_losses: int,
    cutoff: float,
    allowance: int,
) -> int:
    """Process the node, learn from its bound; PRUNED, LEAF, STANDS, or why the linear program was left."""
    verdict = process(lp, scenarios, decisions, visit, max_losses, cutoff, allowance)
    if verdict in (INFEASIBLE, CUT_OFF):
        return PRUNED
    if verdict != OPTIMAL:
        return verdict
    visit.values[COST] = certified_objective(lp)
    if arrival.scenario >= 0 and visit.counts[LEARNT] == 0:
        learn(pseudo, arrival.side, arrival.scenario, visit.values[COST] - arrival.parent_cost, arrival.taken)
        visit.counts[LEARNT] = 1
    visit.counts[STAGE] = CHOOSE
    return LEAF if is_leaf(visit.multiples, visit.gain, losses_left(decisions, max_losses)) else STANDS


@inlined
def visit_node(
    lp: Lp,
    scratch: Lp,
    scenarios: Scenarios,
    decisions: Decisions,
    visit: Visit,
    pseudo: PseudoCosts,
    arrival: Arrival,
    max_losses: int,
    cutoff: float,
    allowance: int,
    says: bool,
) -> int:
    """Relax, tighten and choose; again where a trial decides a scenario. Call again to go on from PAUSED, FULL, LEAF or
    STANDS.

    scratch: with room for what lp has. allowance: work after which to pause. says: whether STANDS is wanted, before the
    choice.
    """
    stage, end = visit.counts, lp.counts[WORK] + allowance
    while True:
        if stage[STAGE] != CHOOSE:
            verdict = assess(lp, scenarios, decisions, visit, pseudo, arrival, max_losses, cutoff, allowance)
            if verdict != STANDS or says:
                return verdict
        budget = float(losses_left(decisions, max_losses))
        bounds = visit.values[CHILDREN]
        s, choice = choose(lp, scratch, scenarios, visit.multiples, visit.gain, budget, cutoff, pseudo, bounds)
        stage[SCENARIO] = s
        if choice == BRANCH:
            return TO_BRANCH
        if choice == NEITHER:
            return PRUNED
        decide(decisions, s, choice == KEEP)
        stage[STAGE] = RELAX
        stage[ROUND] = 0
        if lp.counts[WORK] > end:
            return PAUSED
