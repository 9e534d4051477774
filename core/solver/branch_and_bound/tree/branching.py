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
    THRESHOLD,
    add_scaled,
    add_scenario,
    chance_row,
    find_losing,
    losses_taken,
)
from core.solver.branch_and_bound.lp.dual_simplex import (
    CUT_OFF,
    INFEASIBLE,
    certified_objective,
    dual_simplex,
)
from core.solver.branch_and_bound.lp.tableau import CHANCE, WORK, Lp, copy_into

PIVOTS = 120
CANDIDATES = 8
RELIABLE_AFTER = 4
LEAST_TAKEN = 1e-4

BRANCH, KEEP, GIVE_UP, NEITHER = 0, 1, 2, 3
"""What to do with the scenario that was chosen."""


@inlined
def child_bound(lp: Lp, cutoff: float) -> float:
    """A certified bound of the child in lp; infinite where it is proven to hold nothing better."""
    verdict = dual_simplex(lp, cutoff, PIVOTS)
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
    kept: FloatArray,
    lost: FloatArray,
) -> int:
    """Bounds of both children per candidate into kept and lost (infinite: pruned); how many candidates were tried.

    Ends early when a child is pruned: that candidate is decided.
    """
    work = lp.counts[WORK]
    row = np.empty(len(lp.cost))
    others, places = gain.copy(), np.empty(len(gain), dtype=np.int64)
    tried = 0
    for k in range(len(candidates)):
        s = candidates[k]
        scratch.counts[WORK] = 0
        copy_into(lp, scratch)
        add_scenario(scratch, scenarios, s, THRESHOLD)
        kept[k] = child_bound(scratch, cutoff)
        copy_into(lp, scratch)
        others[s] = 0.0
        losing = places[: find_losing(multiples, others, places)]
        if losses_taken(multiples, losing, others) > budget - 1.0:
            low = chance_row(scenarios, losing, others, budget - 1.0, row)
            add_scaled(scratch, row, low, CHANCE, -1)
        lost[k] = child_bound(scratch, cutoff) if budget >= 1.0 else np.inf
        others[s] = gain[s]
        work += scratch.counts[WORK] + 4 * lp.rows.size
        tried += 1
        if kept[k] == np.inf or lost[k] == np.inf:
            break
    lp.counts[WORK] = work
    return tried


class PseudoCosts(NamedTuple):
    """What branches have done to the bound, per unit of what they took. Sides: 0 kept scenarios, 1 lost ones.

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
def learn(pseudo: PseudoCosts, side: int, s: int, gained: float, taken: float) -> None:
    if taken > LEAST_TAKEN and gained < np.inf:
        pseudo.total[side, s] += max(0.0, gained) / taken
        pseudo.times[side, s] += 1.0
        pseudo.total_of_all[side] += max(0.0, gained) / taken
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
def takes(multiples: FloatArray, gain: FloatArray, s: int) -> tuple[float, float]:
    """What each branch on s takes: the shortfall, and the unused part of a loss."""
    shortfall = max(0.0, THRESHOLD - multiples[s])
    return shortfall, 1.0 - min(1.0, gain[s] * shortfall)


@inlined
def likeliest(multiples: FloatArray, gain: FloatArray, pseudo: PseudoCosts, candidates: IntArray) -> int:
    """The scenarios with the largest product of both children's expected changes, in order; how many."""
    score = np.zeros(len(gain))
    for s in range(len(score)):
        if gain[s] > 0.0 and multiples[s] < THRESHOLD:
            shortfall, unused = takes(multiples, gain, s)
            kept, lost = expected(pseudo, 0, s) * shortfall, expected(pseudo, 1, s) * unused
            score[s] = max(kept, 1e-7) * max(lost, 1e-7)
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
def nearest(multiples: FloatArray, gain: FloatArray) -> int:
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
    """The scenario to branch on, and BRANCH with both children's bounds in `bounds` (2,), or what is decided outright:
    KEEP or GIVE_UP where the other child is pruned, NEITHER where both are."""
    candidates = np.empty(CANDIDATES, dtype=np.int64)
    bounds[:] = -np.inf
    count = likeliest(multiples, gain, pseudo, candidates)
    if count == 0:
        return nearest(multiples, gain), BRANCH
    if is_reliable(pseudo, candidates[0]):
        return candidates[0], BRANCH
    unreliable = 0
    for k in range(count):
        if not is_reliable(pseudo, candidates[k]):
            candidates[unreliable] = candidates[k]
            unreliable += 1
    kept, lost = np.empty(unreliable), np.empty(unreliable)
    tried = try_children(lp, scratch, scenarios, multiples, gain, budget, cutoff, candidates[:unreliable], kept, lost)
    here = certified_objective(lp)
    best, most = 0, -np.inf
    for k in range(tried):
        s = candidates[k]
        shortfall, unused = takes(multiples, gain, s)
        learn(pseudo, 0, s, kept[k] - here, shortfall)
        learn(pseudo, 1, s, lost[k] - here, unused)
        product = max(kept[k] - here, 1e-9) * max(lost[k] - here, 1e-9)
        if product > most:
            best, most = k, product
    last = tried - 1
    if kept[last] == np.inf or lost[last] == np.inf:
        both = kept[last] == lost[last]
        return candidates[last], NEITHER if both else (GIVE_UP if kept[last] == np.inf else KEEP)
    bounds[0], bounds[1] = kept[best], lost[best]
    return candidates[best], BRANCH


@inlined
def is_reliable(pseudo: PseudoCosts, s: int) -> bool:
    return bool(min(pseudo.times[0, s], pseudo.times[1, s]) >= RELIABLE_AFTER)
