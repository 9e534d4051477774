"""One linear program a scenario and side: floors for the chance cut, and scenarios decided outright.

The same as `bounds.tighten`, but with the relaxation optimized for each multiple instead of estimated from one basis.
Any basis gives a certified bound, so a program that is left early costs strength, never validity.
"""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.bounds.decisions import Decisions
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import SAFETY, gain_of, gains
from core.solver.branch_and_bound.cuts.relaxation import ALLOWANCE, RESOLUTION, SPARE_ROWS, Relaxation
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import THRESHOLD, relax
from core.solver.branch_and_bound.lp.dual_simplex import CUT_OFF, FULL, INFEASIBLE, OPTIMAL, certified_objective
from core.solver.branch_and_bound.lp.tableau import (
    BASE,
    ROWS,
    WORK,
    Lp,
    add_row,
    copy_into,
    drop_slack_rows,
    set_cost,
    with_capacity,
)
from core.solver.branch_and_bound.lp.vectors import assign_product, assign_quotient, largest_magnitude

PATIENCE = 1
EMPTY = -1


@kernel
def copy_with_cutoff(lp: Lp, target: Lp, cutoff: float) -> None:
    """lp with `cost @ x <= cutoff` as its last row, into target, which must have room."""
    copy_into(lp, target)
    target.counts[WORK] = 0
    scale = max(largest_magnitude(lp.cost), 1e-300)
    row = np.empty(len(lp.cost))
    assign_quotient(row, lp.cost, scale)
    add_row(target, row, -np.inf, cutoff / scale, BASE, -1)


@inlined
def how_many(flags: BoolArray) -> int:
    count = 0
    for s in range(len(flags)):
        count += flags[s]
    return count


@inlined
def record(s: int, sign: float, bound: float, decisions: Decisions, gain: FloatArray) -> None:
    """What scenario s's least (sign 1) or largest (-1) multiple says, and its gain in the chance cut to match."""
    must, lost, floor = decisions
    if sign < 0.0:
        lost[s] = bound < THRESHOLD
    elif bound >= THRESHOLD:
        must[s] = True
    else:
        floor[s] = max(floor[s], bound)
    gain[s] = gain_of(not (must[s] or lost[s]), floor[s])


@kernel
def sweep_side(
    lp: Lp,
    scenarios: Scenarios,
    order: IntArray,
    begin: int,
    sign: float,
    decisions: Decisions,
    max_losses: int,
    allowance: int,
    highest: FloatArray,
) -> int:
    """Least multiples (sign 1) or largest ones (-1) of the free scenarios in `order` from place `begin`, into
    decisions. The place to go on from, EMPTY when nothing is left within the cut-off.

    highest: (S,), the largest multiples seen; one of 1 or more makes a look at the ceiling needless.
    allowance: work after which to pause, that of a single program, too.
    """
    end, must, lost = lp.counts[WORK] + allowance, decisions.must, decisions.lost
    x, multiples, gain = np.empty(len(lp.cost)), np.empty(len(must)), np.empty(len(must))
    gains(decisions, gain)
    budget = float(max_losses - how_many(lost))
    for k in range(begin, len(order)):
        if lp.counts[WORK] > end:
            return k
        s = order[k]
        if must[s] or lost[s] or (sign < 0.0 and highest[s] >= 1.0):
            continue
        assign_product(x, scenarios.payoffs[s], sign)
        set_cost(lp, x)
        drop_slack_rows(lp)
        cutoff = THRESHOLD + 2 * SAFETY - scenarios.offset[s] if sign > 0.0 else np.inf
        verdict = relax(
            lp, scenarios, must, gain, budget, THRESHOLD, RESOLUTION, cutoff, PATIENCE, allowance, x, multiples
        )
        if verdict == INFEASIBLE:
            return EMPTY
        if verdict == FULL:
            return k
        if verdict == OPTIMAL:
            for t in range(len(highest)):
                highest[t] = max(highest[t], multiples[t])
        bound = scenarios.offset[s] + sign * certified_objective(lp) - sign * SAFETY
        record(s, sign, np.inf if verdict == CUT_OFF else bound, decisions, gain)
        budget = float(max_losses - how_many(lost))
        if budget < 0.0:
            return EMPTY
    return len(order)


class Sweep:
    """Works on a copy of the linear program of the node at hand, with the cut-off as one more row."""

    def __init__(self, relaxation: Relaxation, max_losses: int) -> None:
        self._relaxation = relaxation
        self._max_losses = max_losses
        self._lp = with_capacity(relaxation.lp, len(relaxation.lp.kind) + SPARE_ROWS)

    def run(self, decisions: Decisions, cutoff: float, until: int) -> bool:
        """Floors and ceilings of all free scenarios; False when nothing is left within the cut-off."""
        self._begin(cutoff)
        highest = np.full(len(decisions.must), -np.inf)
        if not self._side(1.0, _worst_first(self._free(decisions), self._multiples), decisions, highest, until):
            return False
        unseen = self._free(decisions) & (highest < 1.0)
        return self._side(-1.0, np.flatnonzero(unseen), decisions, highest, until)

    @property
    def _multiples(self) -> FloatArray:
        return self._relaxation.multiples

    def _free(self, decisions: Decisions) -> BoolArray:
        return ~(decisions.must | decisions.lost)

    def _begin(self, cutoff: float) -> None:
        lp = self._relaxation.lp
        if len(self._lp.kind) < len(lp.kind) + 1:
            self._lp = with_capacity(lp, len(lp.kind) + SPARE_ROWS)
        copy_with_cutoff(lp, self._lp, cutoff)

    def _side(
        self,
        sign: float,
        order: IntArray,
        decisions: Decisions,
        highest: FloatArray,
        until: int,
    ) -> bool:
        at, meter = 0, self._relaxation.meter
        while at < len(order) and meter.spent < until:
            at = sweep_side(
                self._lp,
                self._relaxation.scenarios,
                order,
                at,
                sign,
                decisions,
                self._max_losses,
                ALLOWANCE // 10,
                highest,
            )
            meter.charge(self._lp)
            if at == EMPTY:
                return False
            if self._lp.counts[ROWS] + SPARE_ROWS // 2 > len(self._lp.kind):
                self._lp = with_capacity(self._lp, 2 * len(self._lp.kind))
        return True


def _worst_first(chosen: BoolArray, multiples: FloatArray) -> IntArray:
    places = np.flatnonzero(chosen)
    return places[np.argsort(multiples[places], kind="stable")]
