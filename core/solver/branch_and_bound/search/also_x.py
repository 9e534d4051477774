"""Reweighted ALSO-X: points whose losses are few, for any search that can round them to answers."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from core.arrays import FloatArray
from core.solver.cut_lp import cvar_cut
from core.solver.feasibility import loss_count, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram
from core.solver.rows import RowBlocks
from core.solver.work import WorkMeter


class PointRounding(Protocol):
    """Keeps the best answer (x: (n,) or None, and its objective); `round` makes one of a point, None if it cannot."""

    @property
    def program(self) -> ChanceProgram: ...
    @property
    def meter(self) -> WorkMeter: ...
    @property
    def x(self) -> FloatArray | None: ...
    @property
    def objective(self) -> float: ...

    def round(self, x: FloatArray) -> FloatArray | None: ...


class AlsoX:
    """Reweighted ALSO-X: minimize weighted shortfalls subject to a target objective, and bisect on the target.

    Of many scenarios an even sample is enough to propose a point; losses and CVaR are judged on all of them.
    Source: Ahmed and Xie (2018), relaxations of chance constraints; reweighting 1 / (shortfall + 0.02).
    """

    MOST_SCENARIOS = 2000
    REWEIGHTINGS = 6
    TARGETS = 8
    CVAR_ROUNDS = 40
    CVAR_TOLERANCE = 1e-6

    def __init__(self, search: PointRounding) -> None:
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
        x: FloatArray | None = None
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
        # A few losses too many: the worst of them may be all that is needed.
        return x is not None and self.search.round(x) is not None and self.search.objective >= target

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
