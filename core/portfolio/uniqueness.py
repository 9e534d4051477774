"""Is the tie-break's answer the only portfolio that close to equal weights?

Let D(w) = sum_b |w_b - 1/B| and N = all portfolios that keep every limit, with D(w) <= D(answer). The answer is the
only one where no portfolio in N has a weight that differs by more than `WEIGHT_TOLERANCE`. That is a statement about D
of the answer as it is; it does not rest on the gap to which the tie-break was solved. A portfolio that is even closer,
within that gap, shows that the answer is not the only one, like any other.

N is a union of convex sets, one for each choice of the scenarios that lose. Two steps prove that it is one point:

1. Scenarios that the answer holds just above 1 are H. The portfolios of N in which all of H come out above 1 lie in a
   convex set R, which asks that of no other scenario: linear programs say how far R reaches. At a bound or at 1/B a
   weight can move to one side only, so the sum of those moves is one program; every other weight needs its most and
   its least.
2. No portfolio in N loses money in a scenario of H: for each, its least multiple over N is a chance-constrained
   program, whose bound settles it. What is proven of one is a row for the next. The first such row is of a mean of H,
   by the dual values y of the tie-break in R: D(w) - D(answer) >= sum_{s in H} y_s (M_s - 1) by weak duality, so what
   is closer has to lose there. Any weights make a valid row; these make the next programs small.

If R reaches farther, a step from the answer towards its far end is another portfolio in N: near the answer no other
scenario changes sides. So in exact arithmetic step 1 fails only where there is another. Mangasarian (1979),
"Uniqueness of solution in linear programming", has the case without scenarios.

Answers keep a margin of 1e-6 above 1 and limits count as kept within 1e-7, so other portfolios are as close by that
much, always. The tolerance of weights is far above what such margins move.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray, IntArray
from core.portfolio.strict import normalize_weights
from core.portfolio.tie_break import deviation, deviations, tie_break_program, weights_of, with_objective_floor
from core.solver.cut_lp import MARGIN, CutLp, cvar_cut
from core.solver.effort import Effort
from core.solver.feasibility import is_feasible, multiples
from core.solver.objective_target import ObjectiveTarget
from core.solver.program import (
    LINEAR_TOLERANCE,
    LOSS_THRESHOLD,
    ChanceProgram,
    SolveControl,
    SolveOutcome,
    SolverBackend,
)
from core.solver.sums import combination, dot
from core.solver.work import LimitReached, WorkMeter

WEIGHT_TOLERANCE = 1e-3
"""Portfolios are the same when no weight differs by more: a tenth of a percentage point, a fraction of one deal."""

AT_BOUND = 1e-7
"""A weight this near to 0, to its maximum or to 1/B is there."""

SLACK = 1e-9
"""Added to the deviation, so that the answer itself is in N whatever the order of a sum."""

HELD = MARGIN + 1e-7
"""A scenario that the answer leaves no farther above 1 is held there by its row."""

CUT_SHARE = 0.9
NOT_LOST = 2.5e-7
"""A multiple proven to fall no farther below 1 is no loss in any portfolio that could matter: gaps are chosen so that
branches in which the scenario does not lose are pruned, and their rounding stays far below the margin of answers."""

LEAST_SHARE = 0.05
"""Of the work limit: what may always be used, however quick the tie-break solve was; else as much as that took."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Another portfolio as close. weights: (B,), strictly checked. bucket: differs most, by `difference` of weight."""

    weights: FloatArray
    bucket: int
    difference: float


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """unique: None where the work limit struck, or the arithmetic does not settle it. witness: where it is False."""

    unique: bool | None
    witness: Witness | None
    effort: Effort


def only_as_close(
    program: ChanceProgram,
    floor: float,
    weights: FloatArray,
    backend: SolverBackend,
    control: SolveControl,
    *,
    tie_break_work: int,
    proven: bool,
) -> Uniqueness:
    """program: of the primary solve, in the weights; floor: of its objective. weights: (B,), strictly feasible.

    May use as much work as the tie-break took (`tie_break_work`), or a share of the limit. proven: whether the
    tie-break was; if not, step 2 would fail as well, and only another portfolio with the same scenarios losing is
    looked for. Raises Cancelled.
    """
    limit = max(1, min(control.work_limit, max(tie_break_work, int(LEAST_SHARE * control.work_limit))))
    return _Proof(program, floor, weights, backend, replace(control, work_limit=limit)).run(proven=proven)


class _Unsettled(Exception):
    """The work limit struck, or a bound is not good enough. No caller sees it."""


class _Found(Exception):
    """Another portfolio. No caller sees it."""

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self.witness = witness


class _Proof:
    def __init__(
        self,
        program: ChanceProgram,
        floor: float,
        weights: FloatArray,
        backend: SolverBackend,
        control: SolveControl,
    ) -> None:
        self.locked = with_objective_floor(program, floor)
        self.weights = weights
        self.deviation = deviation(weights)
        self.point = deviations(weights)
        self.second = tie_break_program(program, floor)
        self.near = self.second.with_rows(np.ones((1, 2 * len(weights))), -np.inf, self.deviation + SLACK)
        self.portfolio = multiples(self.near, self.point)
        self.backend = backend
        self.control = control
        self.effort = Effort()

    def run(self, *, proven: bool) -> Uniqueness:
        unique, witness = None, None
        try:
            unique = self._only_one(proven=proven)
        except _Found as found:
            unique, witness = False, found.witness
        except (_Unsettled, LimitReached):
            pass
        return Uniqueness(unique, witness, self.effort)

    def _only_one(self, *, proven: bool) -> bool | None:
        if self.deviation <= 0.5 * WEIGHT_TOLERANCE - SLACK:
            # Two portfolios that near to equal weights are as near to each other.
            return True
        held = np.flatnonzero((self.portfolio >= LOSS_THRESHOLD) & (self.portfolio <= 1.0 + HELD))
        self._nothing_else_while_kept(held)
        if not proven:
            return None
        self._never_lost(held)
        return True

    def _nothing_else_while_kept(self, held: IntArray) -> None:
        """Step 1: no weight differs while no scenario of `held` loses. Raises _Found, _Unsettled, LimitReached."""
        floors = 1.0 - NOT_LOST - self.near.payoff_offset[held]
        region = self.near.with_rows(self.near.payoffs[held], floors, np.inf)
        cut = cvar_cut(region, self.point, self.portfolio, tolerance=-np.inf)
        if cut is not None:
            # Valid everywhere, and each of the linear programs below would have to find it anew.
            region = region.with_rows(cut[0][None, :], cut[1], np.inf)
        region = replace(region, max_losses=len(self.portfolio))
        control = replace(self.control, relative_gap=0.0, absolute_gap=0.5 * WEIGHT_TOLERANCE)
        for objective in self._moves(region):
            outcome = self._solve(replace(region, objective=objective), control)
            if outcome.bound - dot(objective, self.point) > WEIGHT_TOLERANCE - AT_BOUND:
                self._step_towards(outcome)
                raise _Unsettled

    def _moves(self, region: ChanceProgram) -> Iterator[FloatArray]:
        """The objectives of step 1 in the columns (p, q)."""
        n = len(self.weights)
        below, above = region.polytope.upper[n:], region.polytope.upper[:n]
        away = self.point[:n] - self.point[n:]
        at_least, at_most, at_equal = away <= AT_BOUND - below, away >= above - AT_BOUND, np.abs(away) <= AT_BOUND
        inward = np.where(at_least, 1.0, np.where(at_most, -1.0, 0.0))
        to_any_side = np.where(at_equal & ~at_least & ~at_most, 1.0, 0.0)
        yield np.concatenate([inward + to_any_side, to_any_side - inward])
        for bucket in np.flatnonzero(~(at_least | at_most | at_equal)):
            for sign in (1.0, -1.0):
                objective = np.zeros(2 * n)
                objective[bucket], objective[n + bucket] = sign, -sign
                yield objective

    def _step_towards(self, outcome: SolveOutcome) -> None:
        """Raises _Found for a portfolio between the answer and the outcome's, as far along as limits are kept."""
        if outcome.x is None:
            return
        far = weights_of(outcome.x)
        self._offer(far)
        there = multiples(self.near, outcome.x)
        crossing = (self.portfolio >= 1.0) & (there < 1.0)
        steps = (self.portfolio[crossing] - 1.0) / (self.portfolio[crossing] - there[crossing])
        # A hair short of the row, where rounding would decide.
        step = (1.0 - 1e-6) * float(np.min(steps, initial=1.0))
        self._offer(self.weights + step * (far - self.weights))

    def _offer(self, weights: FloatArray) -> None:
        """Raises _Found if this is another portfolio, strictly as close."""
        other = normalize_weights(weights)
        difference = other - self.weights
        bucket = int(np.argmax(np.abs(difference)))
        if (
            abs(difference[bucket]) > WEIGHT_TOLERANCE
            and deviation(other) <= self.deviation + LINEAR_TOLERANCE
            and is_feasible(self.locked, other)
        ):
            raise _Found(Witness(other, bucket, float(difference[bucket])))

    def _never_lost(self, held: IntArray) -> None:
        """Step 2: no portfolio as close loses in a scenario of `held`. Raises _Found, _Unsettled, LimitReached."""
        if not len(held):
            return
        duals = self._duals(held)
        share = duals / max(math.fsum(duals), SLACK)
        payoffs, offsets = self.near.payoffs[held], self.near.payoff_offset[held]
        program = self.near
        if np.count_nonzero(share) > 1:
            program = self._never_below(program, combination(share, payoffs), dot(share, offsets))
        for i in np.argsort(-share, kind="stable"):
            program = self._never_below(program, payoffs[i], float(offsets[i]))

    def _duals(self, held: IntArray) -> FloatArray:
        """What moving each held scenario's row would cost in deviation, (len(held),); zeros where that is not known."""
        meter = WorkMeter(replace(self.control, work_limit=self._left()))
        required = np.zeros(len(self.portfolio), dtype=bool)
        required[held] = True
        relaxed = CutLp(self.second, meter)
        try:
            found = relaxed.maximize(required)
        finally:
            self.effort += meter.effort
        prices = np.abs(relaxed.model.row_duals) if found is not None else np.zeros(relaxed.model.n_rows)
        return np.array([prices[row] if (row := relaxed.row_of_scenario.get(int(s))) else 0.0 for s in held])

    def _never_below(self, program: ChanceProgram, payoff: FloatArray, offset: float) -> ChanceProgram:
        """The program with the row offset + payoff @ x >= 1 - NOT_LOST, once that is proven of all its portfolios."""
        above = offset + dot(payoff, self.point) - 1.0
        control = replace(self.control, relative_gap=0.0, absolute_gap=(above + 0.4 * NOT_LOST) / CUT_SHARE)
        least = 1.0 - NOT_LOST - offset
        outcome = self._solve(replace(program, objective=-payoff), control, enough=-least)
        if -outcome.bound < least:
            if outcome.x is not None:
                self._offer(weights_of(outcome.x))
            raise _Unsettled
        return program.with_rows(payoff[None, :], least, np.inf)

    def _left(self) -> int:
        if self.effort.work >= self.control.work_limit:
            raise LimitReached
        return self.control.work_limit - self.effort.work

    def _solve(self, program: ChanceProgram, control: SolveControl, enough: float = np.inf) -> SolveOutcome:
        """From the answer, until it is closed or something better than `enough` is found."""
        watch = ObjectiveTarget(control, enough)
        outcome = self.backend.maximize(program, watch.control(self._left()), self.point)
        # Stopped at the same moment every time, the solve is reproducible, though it says that it was cut short.
        self.effort += replace(outcome.effort, reproducible=outcome.reproducible or watch.stopped)
        return outcome
