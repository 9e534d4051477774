"""Which scenario to branch on: by pseudo-costs, which trials of both children start and every node refines.

Source: Achterberg, Koch and Martin (2005), branching rules revisited (reliability branching).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import FloatArray, IntArray
from core.jit import inlined
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import (
    add_scaled,
    add_scenario,
    chance_row,
    find_losing,
    fractional_losses,
)
from core.solver.branch_and_bound.lp.dual_simplex import (
    CUT_OFF,
    INFEASIBLE,
    certified_objective,
    dual_simplex,
)
from core.solver.branch_and_bound.lp.tableau import CHANCE_CUT, WORK, Lp, copy_into
from core.solver.program import LOSS_THRESHOLD

TRIAL_PIVOTS = 120
TRIAL_CANDIDATES = 8
RELIABLE_AFTER = 4
LEAST_DISTANCE = 1e-4

BRANCH, REQUIRE, ALLOW_LOSS, PRUNE_BOTH = 0, 1, 2, 3
"""What to do with the scenario that was chosen."""


@inlined
def child_bound(lp: Lp, cutoff: float) -> float:
    """A certified bound of the child in lp; infinite where it is proven to hold nothing better."""
    verdict = dual_simplex(lp, cutoff, TRIAL_PIVOTS)
    if verdict in (INFEASIBLE, CUT_OFF):
        return np.inf
    return certified_objective(lp)


@inlined
def try_children(
    lp: Lp,
    scratch: Lp,
    scenarios: Scenarios,
    multiples: FloatArray,
    gain: FloatArray,
    budget: float,
    cutoff: float,
    candidates: IntArray,
    required_bound: FloatArray,
    lost_bound: FloatArray,
) -> int:
    """How many candidates were tried; the bounds of both their children into required_bound and lost_bound.

    Infinite: pruned. Ends early when a child is pruned: that candidate is decided.
    """
    work = lp.counts[WORK]
    row = np.empty(len(lp.cost))
    others, places = gain.copy(), np.empty(len(gain), dtype=np.int64)
    tried = 0
    for k in range(len(candidates)):
        s = candidates[k]
        scratch.counts[WORK] = 0
        copy_into(lp, scratch)
        add_scenario(scratch, scenarios, s, LOSS_THRESHOLD)
        required_bound[k] = child_bound(scratch, cutoff)
        copy_into(lp, scratch)
        others[s] = 0.0
        losing = places[: find_losing(multiples, others, places)]
        if fractional_losses(multiples, losing, others) > budget - 1.0:
            low = chance_row(scenarios, losing, others, budget - 1.0, row)
            add_scaled(scratch, row, low, CHANCE_CUT, -1)
        lost_bound[k] = child_bound(scratch, cutoff) if budget >= 1.0 else np.inf
        others[s] = gain[s]
        work += scratch.counts[WORK] + 4 * lp.rows.size
        tried += 1
        if required_bound[k] == np.inf or lost_bound[k] == np.inf:
            break
    lp.counts[WORK] = work
    return tried


class PseudoCosts(NamedTuple):
    """How much branches raised the bound, per unit of distance. Sides: 0 required not to lose, 1 given up as lost.

    total, times: (2, S) sums, and of how many; total_of_all, times_of_all: (2,) over all scenarios.
    """

    total: FloatArray
    times: FloatArray
    total_of_all: FloatArray
    times_of_all: FloatArray

    @classmethod
    def none(cls, n_scenarios: int) -> PseudoCosts:
        return cls(np.zeros((2, n_scenarios)), np.zeros((2, n_scenarios)), np.zeros(2), np.zeros(2))


@inlined
def learn(pseudo: PseudoCosts, side: int, s: int, increase: float, distance: float) -> None:
    if distance > LEAST_DISTANCE and increase < np.inf:
        pseudo.total[side, s] += max(0.0, increase) / distance
        pseudo.times[side, s] += 1.0
        pseudo.total_of_all[side] += max(0.0, increase) / distance
        pseudo.times_of_all[side] += 1.0


@inlined
def expected(pseudo: PseudoCosts, side: int, s: int) -> float:
    """The scenario's own average, the average of all where it has none."""
    if pseudo.times[side, s] > 0.0:
        return float(pseudo.total[side, s] / pseudo.times[side, s])
    if pseudo.times_of_all[side] > 0.0:
        return float(pseudo.total_of_all[side] / pseudo.times_of_all[side])
    return 1.0


@inlined
def branch_distances(multiples: FloatArray, gain: FloatArray, s: int) -> tuple[float, float]:
    """How far each branch on s moves the relaxation: its shortfall, and the part of a loss that it does not use yet."""
    shortfall = max(0.0, LOSS_THRESHOLD - multiples[s])
    return shortfall, 1.0 - min(1.0, gain[s] * shortfall)


@inlined
def best_scored(multiples: FloatArray, gain: FloatArray, pseudo: PseudoCosts, candidates: IntArray) -> int:
    """The scenarios with the largest product of both children's expected changes, in order; how many."""
    score = np.zeros(len(gain))
    for s in range(len(score)):
        if gain[s] > 0.0 and multiples[s] < LOSS_THRESHOLD:
            shortfall, unused = branch_distances(multiples, gain, s)
            if_required, if_lost = expected(pseudo, 0, s) * shortfall, expected(pseudo, 1, s) * unused
            score[s] = max(if_required, 1e-7) * max(if_lost, 1e-7)
    count = 0
    while count < len(candidates):
        best = 0
        for s in range(1, len(score)):
            if score[s] > score[best]:
                best = s
        if score[best] == 0.0:
            break
        candidates[count] = best
        score[best] = 0.0
        count += 1
    return count


@inlined
def least_multiple(multiples: FloatArray, gain: FloatArray) -> int:
    """The free scenario with the least multiple; -1 when none is free."""
    chosen = -1
    for s in range(len(gain)):
        if gain[s] > 0.0 and (chosen < 0 or multiples[s] < multiples[chosen]):
            chosen = s
    return chosen


@inlined
def choose(
    lp: Lp,
    scratch: Lp,
    scenarios: Scenarios,
    multiples: FloatArray,
    gain: FloatArray,
    budget: float,
    cutoff: float,
    pseudo: PseudoCosts,
    bounds: FloatArray,
) -> tuple[int, int]:
    """The scenario to branch on, and BRANCH with both children's bounds in `bounds` (2,), or what trials proved:
    REQUIRE or ALLOW_LOSS where the other child is pruned, PRUNE_BOTH where both are."""
    candidates = np.empty(TRIAL_CANDIDATES, dtype=np.int64)
    bounds[:] = -np.inf
    count = best_scored(multiples, gain, pseudo, candidates)
    if count == 0:
        return least_multiple(multiples, gain), BRANCH
    if is_reliable(pseudo, candidates[0]):
        return candidates[0], BRANCH
    unreliable = 0
    for k in range(count):
        if not is_reliable(pseudo, candidates[k]):
            candidates[unreliable] = candidates[k]
            unreliable += 1
    required_bound, lost_bound = np.empty(unreliable), np.empty(unreliable)
    tried = try_children(
        lp, scratch, scenarios, multiples, gain, budget, cutoff, candidates[:unreliable], required_bound, lost_bound
    )
    here = certified_objective(lp)
    best, most = 0, -np.inf
    for k in range(tried):
        s = candidates[k]
        shortfall, unused = branch_distances(multiples, gain, s)
        learn(pseudo, 0, s, required_bound[k] - here, shortfall)
        learn(pseudo, 1, s, lost_bound[k] - here, unused)
        product = max(required_bound[k] - here, 1e-9) * max(lost_bound[k] - here, 1e-9)
        if product > most:
            best, most = k, product
    last = tried - 1
    if required_bound[last] == np.inf or lost_bound[last] == np.inf:
        both = required_bound[last] == lost_bound[last]
        return candidates[last], PRUNE_BOTH if both else (ALLOW_LOSS if required_bound[last] == np.inf else REQUIRE)
    bounds[0], bounds[1] = required_bound[best], lost_bound[best]
    return candidates[best], BRANCH


@inlined
def is_reliable(pseudo: PseudoCosts, s: int) -> bool:
    return bool(min(pseudo.times[0, s], pseudo.times[1, s]) >= RELIABLE_AFTER)
