"""Which scenario to branch on: both children of the likeliest candidates are tried by a few pivots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.arrays import FloatArray, IntArray
from core.solver.branch_and_bound.compiling import kernel
from core.solver.branch_and_bound.cuts import THRESHOLD, add_scaled, add_scenario, chance_row
from core.solver.branch_and_bound.dual_simplex import (
    CUT_OFF,
    INFEASIBLE,
    certified_objective,
    dual_simplex,
)
from core.solver.branch_and_bound.relaxation import Relaxation
from core.solver.branch_and_bound.scenarios import Scenarios
from core.solver.branch_and_bound.tableau import CHANCE, WORK, Lp, copy_into
from core.solver.branch_and_bound.tree import Node

PIVOTS = 120


@kernel
def child_bound(lp: Lp, cutoff: float) -> float:
    """A certified bound of the child in lp; infinite where it is proven to hold nothing better."""
    verdict = dual_simplex(lp, cutoff, PIVOTS)
    if verdict in (INFEASIBLE, CUT_OFF):
        return np.inf
    return certified_objective(lp)


@kernel
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
    others = gain.copy()
    tried = 0
    for k in range(len(candidates)):
        s = candidates[k]
        scratch.counts[WORK] = 0
        copy_into(lp, scratch)
        add_scenario(scratch, scenarios, s, THRESHOLD)
        kept[k] = child_bound(scratch, cutoff)
        copy_into(lp, scratch)
        others[s] = 0.0
        low, over = chance_row(scenarios, multiples, others, budget - 1.0, row)
        if over > 0.0:
            add_scaled(scratch, row, low, CHANCE, -1)
        lost[k] = child_bound(scratch, cutoff) if budget >= 1.0 else np.inf
        others[s] = gain[s]
        work += scratch.counts[WORK] + 4 * lp.rows.size
        tried += 1
        if kept[k] == np.inf or lost[k] == np.inf:
            break
    lp.counts[WORK] = work
    return tried


@kernel
def rank(
    multiples: FloatArray,
    gain: FloatArray,
    kept_cost: FloatArray,
    lost_cost: FloatArray,
    score: FloatArray,
) -> int:
    """Product of the expected changes of both children, per scenario, into score (0: none); how many.

    kept_cost, lost_cost: (S,) per unit of what the branch takes: the shortfall, and the unused part of a loss.
    """
    count = 0
    for s in range(len(score)):
        score[s] = 0.0
        if gain[s] > 0.0 and multiples[s] < THRESHOLD:
            shortfall = THRESHOLD - multiples[s]
            unused = 1.0 - min(1.0, gain[s] * shortfall)
            score[s] = max(kept_cost[s] * shortfall, 1e-7) * max(lost_cost[s] * unused, 1e-7)
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class Choice:
    """scenario: to branch on, or decided outright; -1 when no scenario is free.

    decided: the other child is pruned, or "neither" has anything. kept_cost, lost_cost: bounds of the children.
    """

    scenario: int
    decided: Literal["keep", "give up", "neither"] | None = None
    kept_cost: float = -np.inf
    lost_cost: float = -np.inf


class Branching:
    """Pseudo-costs that strong branching starts and every node refines.

    Source: Achterberg, Koch and Martin (2005), branching rules revisited (reliability branching).
    """

    candidates = 8
    reliable_after = 4

    def __init__(self, relaxation: Relaxation) -> None:
        n_scenarios = len(relaxation.multiples)
        self._relaxation = relaxation
        self._scratch = relaxation.snapshot()
        self._sum = np.zeros((2, n_scenarios))
        self._count = np.zeros((2, n_scenarios))
        self._score = np.zeros(n_scenarios)

    def learn(self, node: Node, cost: float) -> None:
        """What the branch to this node did to the bound."""
        if node.scenario >= 0 and np.isfinite(node.taken) and node.taken > 1e-4:
            side = 0 if node.keeps else 1
            self._sum[side, node.scenario] += max(0.0, cost - node.parent_cost) / node.taken
            self._count[side, node.scenario] += 1.0
            node.taken = np.inf

    def choose(self, gain: FloatArray, budget: float, cutoff: float) -> Choice:
        multiples = self._relaxation.multiples
        costs = [self._expected(side) for side in (0, 1)]
        count = rank(multiples, gain, costs[0], costs[1], self._score)
        if count == 0:
            undecided = np.flatnonzero(gain > 0.0)
            return self._nearest(undecided)
        order = np.argsort(-self._score, kind="stable")[: min(count, self.candidates)]
        unreliable = self._count.min(axis=0)[order] < self.reliable_after
        if not unreliable[0]:
            return Choice(int(order[0]))
        return self._strong(np.ascontiguousarray(order[unreliable]), gain, budget, cutoff)

    def _nearest(self, undecided: IntArray) -> Choice:
        if len(undecided) == 0:
            return Choice(-1)
        return Choice(int(undecided[np.argmin(self._relaxation.multiples[undecided])]))

    def _expected(self, side: int) -> FloatArray:
        """Per scenario, (S,): its own average, the average of all where it has none."""
        total, count = self._sum[side], self._count[side]
        overall = total.sum() / count.sum() if count.sum() > 0.0 else 1.0
        return np.where(count > 0.0, total / np.maximum(count, 1.0), overall)

    def _strong(self, candidates: IntArray, gain: FloatArray, budget: float, cutoff: float) -> Choice:
        relaxation = self._relaxation
        lp = relaxation.lp
        if len(self._scratch.kind) < len(lp.kind):
            self._scratch = relaxation.snapshot()
        kept, lost = np.zeros(len(candidates)), np.zeros(len(candidates))
        args = (relaxation.scenarios, relaxation.multiples, gain, budget, cutoff, candidates, kept, lost)
        tried = int(try_children(lp, self._scratch, *args))
        here = relaxation.bound
        self._learn_all(candidates[:tried], kept, lost, gain, here)
        last = tried - 1
        s = int(candidates[last])
        if np.isinf(kept[last]) or np.isinf(lost[last]):
            if np.isinf(kept[last]) and np.isinf(lost[last]):
                return Choice(s, "neither")
            return Choice(s, "give up" if np.isinf(kept[last]) else "keep")
        gained = np.maximum(kept - here, 1e-9) * np.maximum(lost - here, 1e-9)
        best = int(np.argmax(gained[:tried]))
        return Choice(int(candidates[best]), None, float(kept[best]), float(lost[best]))

    def taken(self, scenario: int, gain: FloatArray) -> tuple[float, float]:
        """What each branch takes: the shortfall, and the unused part of a loss."""
        shortfall = max(0.0, THRESHOLD - float(self._relaxation.multiples[scenario]))
        return shortfall, 1.0 - min(1.0, float(gain[scenario]) * shortfall)

    def _learn_all(
        self, candidates: IntArray, kept: FloatArray, lost: FloatArray, gain: FloatArray, here: float
    ) -> None:
        for k, s in enumerate(candidates.tolist()):
            for side, (cost, taken) in enumerate(zip((kept[k], lost[k]), self.taken(s, gain), strict=True)):
                if np.isfinite(cost) and taken > 1e-4:
                    self._sum[side, s] += max(0.0, cost - here) / taken
                    self._count[side, s] += 1.0
