"""Optimality-based bound tightening (OBBT): one linear program a scenario and side, over the points within the cut-off.

It gives floors for the chance cut and decides scenarios.

The same bounds as those of `reduced_cost_fixing`, but with the relaxation optimized for each multiple instead of
estimated from one basis. Any basis gives a certified bound, so a program that is left early costs strength, never
validity.
"""

from __future__ import annotations

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.jit import inlined, kernel
from core.solver.branch_and_bound.bounds.decisions import Decisions
from core.solver.branch_and_bound.bounds.reduced_cost_fixing import BOUND_MARGIN, gain_of, gains
from core.solver.branch_and_bound.cuts.relaxation import SPARE_ROWS, WORK_BETWEEN_PAUSES, Relaxation
from core.solver.branch_and_bound.cuts.scenarios import Scenarios
from core.solver.branch_and_bound.cuts.separation import relax
from core.solver.branch_and_bound.lp.dual_simplex import CUT_OFF, FULL, INFEASIBLE, OPTIMAL, certified_objective
from core.solver.branch_and_bound.lp.tableau import (
    BASE_ROW,
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
from core.solver.program import LOSS_RESOLUTION, LOSS_THRESHOLD

OBBT_PATIENCE = 1
NOTHING_LEFT = -1


@kernel
def copy_with_cutoff(lp: Lp, target: Lp, cutoff: float) -> None:
    """lp with `cost @ x <= cutoff` as its last row, into target, which must have room."""
    copy_into(lp, target)
    target.counts[WORK] = 0
    scale = max(largest_magnitude(lp.cost), 1e-300)
    row = np.empty(len(lp.cost))
    assign_quotient(row, lp.cost, scale)
    add_row(target, row, -np.inf, cutoff / scale, BASE_ROW, -1)


@inlined
def count_true(flags: BoolArray) -> int:
    count = 0
    for s in range(len(flags)):
        count += flags[s]
    return count


@inlined
def record_bound(s: int, sign: float, bound: float, decisions: Decisions, gain: FloatArray) -> None:
    """Decide scenario s by its least (sign 1) or largest (-1) multiple, or raise its floor; its gain to match."""
    required, lost, floor = decisions
    if sign < 0.0:
        lost[s] = bound < LOSS_THRESHOLD
    elif bound >= LOSS_THRESHOLD:
        required[s] = True
    else:
        floor[s] = max(floor[s], bound)
    gain[s] = gain_of(not (required[s] or lost[s]), floor[s])


@kernel
def obbt_side(
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
    decisions. The place to go on from, NOTHING_LEFT when nothing is left within the cut-off.

    highest: (S,), the largest multiples seen; one of 1 or more makes the ceiling needless.
    allowance: work after which to pause, that of a single program, too.
    """
    end, required, lost = lp.counts[WORK] + allowance, decisions.required, decisions.lost
    x, multiples, gain = np.empty(len(lp.cost)), np.empty(len(required)), np.empty(len(required))
    gains(decisions, gain)
    budget = float(max_losses - count_true(lost))
    for k in range(begin, len(order)):
        if lp.counts[WORK] > end:
            return k
        s = order[k]
        if required[s] or lost[s] or (sign < 0.0 and highest[s] >= 1.0):
            continue
        assign_product(x, scenarios.payoffs[s], sign)
        set_cost(lp, x)
        drop_slack_rows(lp)
        cutoff = LOSS_THRESHOLD + 2 * BOUND_MARGIN - scenarios.offset[s] if sign > 0.0 else np.inf
        verdict = relax(
            lp,
            scenarios,
            required,
            gain,
            budget,
            LOSS_THRESHOLD,
            LOSS_RESOLUTION,
            cutoff,
            OBBT_PATIENCE,
            allowance,
            x,
            multiples,
        )
        if verdict == INFEASIBLE:
            return NOTHING_LEFT
        if verdict == FULL:
            return k
        if verdict == OPTIMAL:
            for t in range(len(highest)):
                highest[t] = max(highest[t], multiples[t])
        bound = scenarios.offset[s] + sign * certified_objective(lp) - sign * BOUND_MARGIN
        record_bound(s, sign, np.inf if verdict == CUT_OFF else bound, decisions, gain)
        budget = float(max_losses - count_true(lost))
        if budget < 0.0:
            return NOTHING_LEFT
    return len(order)


class ObbtPass:
    """Works on a copy of the node's linear program, with the cut-off as one more row."""

    def __init__(self, relaxation: Relaxation, max_losses: int) -> None:
        self._relaxation = relaxation
        self._max_losses = max_losses
        self._lp = with_capacity(relaxation.lp, len(relaxation.lp.kind) + SPARE_ROWS)

    def run(self, decisions: Decisions, cutoff: float, until: int) -> bool:
        """Floors and ceilings of all free scenarios; False when nothing is left within the cut-off."""
        self._begin(cutoff)
        highest = np.full(len(decisions.required), -np.inf)
        if not self._side(1.0, _worst_first(self._free(decisions), self._multiples), decisions, highest, until):
            return False
        unseen = self._free(decisions) & (highest < 1.0)
        return self._side(-1.0, np.flatnonzero(unseen), decisions, highest, until)

    @property
    def _multiples(self) -> FloatArray:
        return self._relaxation.multiples

    def _free(self, decisions: Decisions) -> BoolArray:
        return ~(decisions.required | decisions.lost)

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
            at = obbt_side(
                self._lp,
                self._relaxation.scenarios,
                order,
                at,
                sign,
                decisions,
                self._max_losses,
                WORK_BETWEEN_PAUSES // 10,
                highest,
            )
            meter.charge(self._lp)
            if at == NOTHING_LEFT:
                return False
            if self._lp.counts[ROWS] + SPARE_ROWS // 2 > len(self._lp.kind):
                self._lp = with_capacity(self._lp, 2 * len(self._lp.kind))
        return True


def _worst_first(chosen: BoolArray, multiples: FloatArray) -> IntArray:
    places = np.flatnonzero(chosen)
    return places[np.argsort(multiples[places], kind="stable")]
