"""First answers: rounding, exchanges and ALSO-X, so that a work limit never leaves a user with nothing.

A choice of at most `max_losses` scenarios that may lose turns the program into an LP; every heuristic here proposes
such choices and keeps the best strictly feasible point.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.solver.cut_lp import RESOLUTION, CutLp, cvar_cut
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram
from core.solver.rows import RowBlocks
from core.solver.strict_check import is_feasible, loss_count, multiples
from core.solver.sums import dot
from core.solver.work import WorkMeter


class IncumbentSearch:
    """Holds the best strictly feasible point so far: `x` (n,) or None, and its `objective`."""

    def __init__(self, program: ChanceProgram, meter: WorkMeter) -> None:
        self.program = program
        self.meter = meter
        self.x: FloatArray | None = None
        self.objective = -np.inf
        self._lp = CutLp(program, meter)
        self._tried: set[bytes] = set()

    def offer(self, x: FloatArray) -> bool:
        """Take x if it is better and strictly feasible, not just on the threshold of a loss, where rounding decides."""
        value = dot(self.program.objective, x)
        if value <= self.objective or not is_feasible(self.program, x, 1.0 - RESOLUTION):
            return False
        self.x, self.objective = x, value
        return True

    def round(self, x: FloatArray) -> FloatArray | None:
        """Let the worst scenarios of x be the losses and optimise the rest."""
        return self._solve(self.allowed_losses(multiples(self.program, x)))

    @cached_property
    def _exact_lp(self) -> CutLp:
        """Few programs need it, and each solve would have to build it."""
        return CutLp(self.program, self.meter, margin=0.0)

    def round_exactly(self, x: FloatArray) -> None:
        """The same without the margin, for programs that cannot afford it."""
        exact = self._exact_lp.maximise(~self.allowed_losses(multiples(self.program, x)))
        if exact is not None:
            self.offer(exact)

    def allowed_losses(self, portfolio: FloatArray) -> BoolArray:
        allowed = np.zeros(len(portfolio), dtype=bool)
        allowed[np.argsort(portfolio, kind="stable")[: self.program.max_losses]] = True
        return allowed

    def _solve(self, allowed: BoolArray) -> FloatArray | None:
        key = np.packbits(allowed).tobytes()
        if key in self._tried:
            return None
        self._tried.add(key)
        x = self._lp.maximise(~allowed)
        if x is not None:
            self.offer(x)
        return x

    def improve(self, x: FloatArray, until: int) -> None:
        """Round x, then spend losses that the answer does not need on the rows that cost most, until nothing moves."""
        point = self.round(x)
        while point is not None and self.meter.spent < until:
            portfolio = multiples(self.program, point)
            losing = portfolio < 1.0
            unused = self.program.max_losses - int(losing.sum())
            costly = self._costly_rows()
            if unused <= 0 or not costly:
                return
            allowed = losing.copy()
            allowed[costly[:unused]] = True
            point = self._solve(allowed)

    def exchange(self, until: int, width: int = 12, depth: int = 8) -> None:
        """Swap one loss for another while that improves: the losses nearest to 1 against the costliest rows."""
        improved = True
        while improved and self.x is not None and self.meter.spent < until:
            improved = False
            portfolio = multiples(self.program, self.x)
            allowed = self.allowed_losses(portfolio)
            if self._lp.maximise(~allowed) is None:
                return
            costly = self._costly_rows()[:depth]
            losses = np.flatnonzero(allowed)
            losses = losses[np.argsort(-portfolio[losses], kind="stable")][:width]
            improved = self._first_better_swap(allowed, costly, losses, until)

    def _first_better_swap(self, allowed: BoolArray, costly: list[int], losses: IntArray, until: int) -> bool:
        before = self.objective
        for gained in costly:
            for given in losses:
                swapped = allowed.copy()
                swapped[gained], swapped[given] = True, False
                self._solve(swapped)
                if self.objective > before + 1e-9:
                    return True
                if self.meter.spent >= until:
                    return False
        return False

    def _costly_rows(self) -> list[int]:
        """Scenarios held above 1 by a row with a dual, the costliest first."""
        duals = self._lp.model.row_duals
        price = [(abs(float(duals[row])), s) for s, row in self._lp.row_of_scenario.items() if row < len(duals)]
        return [s for cost, s in sorted(price, key=lambda pair: (-pair[0], pair[1])) if cost > 1e-9]


class AlsoX:
    """Reweighted ALSO-X: minimise weighted shortfalls subject to a target objective, and bisect on the target.

    Of many scenarios an even sample is enough to propose a point; losses and CVaR are judged on all of them.
    Source: Ahmed and Xie (2018), relaxations of chance constraints; reweighting 1 / (shortfall + 0.02).
    """

    MOST_SCENARIOS = 2000
    REWEIGHTINGS = 6
    TARGETS = 8
    CVAR_ROUNDS = 40
    CVAR_TOLERANCE = 1e-6

    def __init__(self, search: IncumbentSearch) -> None:
        self.search = search
        self.program = program = search.program
        self.meter = search.meter
        n_scenarios = len(program.payoff_offset)
        self._sample = sample = np.arange(0, n_scenarios, -(-n_scenarios // self.MOST_SCENARIOS))
        n, s = len(program.objective), len(sample)
        polytope = program.polytope
        blocks = RowBlocks()
        blocks.add(polytope.row_lower, polytope.row_upper, {0: polytope.rows})
        blocks.add(1.0 - program.payoff_offset[sample], np.inf, {0: program.payoffs[sample], n: np.ones(s)})
        blocks.add(-np.inf, np.inf, {0: program.objective[None, :]})
        self._target_row = len(polytope.row_lower) + s
        self.model = HighsModel(
            np.concatenate([np.zeros(n), -np.ones(s)]),
            np.concatenate([polytope.lower, np.zeros(s)]),
            np.concatenate([polytope.upper, np.full(s, np.inf)]),
            blocks.assemble(),
        )

    def run(self, upper: float, until: int) -> None:
        """Bisect between what is known to be reachable and `upper`, a bound on the objective."""
        reached = -np.inf
        for step in range(self.TARGETS):
            if step == 0:
                target = self.search.objective if self.search.x is not None else -np.inf
            elif not np.isfinite(reached):
                return
            else:
                target = reached + (upper - reached) * (0.25 if step == 1 else 0.5)
            if self.meter.spent >= until or upper - target < 1e-4 * abs(upper):
                return
            if self._reach(target):
                reached = max(target, self.search.objective)
            elif step == 0:
                return
            else:
                upper = target

    def _reach(self, target: float) -> bool:
        n = len(self.program.objective)
        self.model.set_row_bounds(self._target_row, target, np.inf)
        weights = np.ones(len(self._sample))
        for _ in range(self.REWEIGHTINGS):
            self.model.set_objective(np.concatenate([np.zeros(n), -weights]))
            x = self._solve_with_cvar()
            if x is None:
                return False
            portfolio = multiples(self.program, x)
            if loss_count(portfolio) <= self.program.max_losses:
                return self.search.round(x) is not None or self.search.objective >= target
            shortfall = np.maximum(0.0, 1.0 - portfolio[self._sample])
            weights = 1.0 / (shortfall + 0.02)
            weights /= weights.mean()
        return False

    def _solve_with_cvar(self) -> FloatArray | None:
        n, s = len(self.program.objective), len(self._sample)
        for _ in range(self.CVAR_ROUNDS):
            columns = self.meter.solve(self.model)
            if columns is None:
                return None
            x = columns[:n]
            cut = cvar_cut(self.program, x, multiples(self.program, x), self.CVAR_TOLERANCE)
            if cut is None:
                return x
            row, floor = cut
            self.model.add_row(np.concatenate([row, np.zeros(s)]), floor)
        return None
