"""What loosening a bound is worth, per unit, while the scenarios that may lose stay the same.

With the losing scenarios fixed, the program is linear, and its optimum v is a concave, piecewise linear function of its
bounds: at a kink the slope to the loose side is less than to the tight side, and a simplex code's dual may be either,
or anything between. The slope to the loose side is

    v'(b; e) = max { objective @ d : d a feasible direction at the optimum, bounds moving by e }

by LP duality the least y @ e over all optimal duals y. Source: Gauvin (2001), "Formulae for the sensitivity analysis of
linear programming problems"; for CVaR by its epigraph, Rockafellar & Uryasev (2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.solver.cut_lp import FEASIBILITY, MARGIN, CutLp
from core.solver.feasibility import cvar_room, loss_tail, multiples
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram
from core.solver.rows import RowBlocks
from core.solver.sums import dot, products
from core.solver.work import WorkMeter

ACTIVE = 1e-7
"""A row this near to its bound counts as holding the optimum back: ten times and more what the LP leaves open."""

LONGEST_STEP = 1e6
"""No direction of an optimum is so steep; one that gets here was not held back by what should hold it."""


@dataclass(frozen=True, slots=True)
class Loosening:
    """How far each bound moves to its loose side, per unit. rows: (m,); upper: of the columns (n,); cvar: its limit.

    A row of a polytope has one finite bound, or two that are equal and do not move.
    """

    rows: FloatArray
    upper: FloatArray
    cvar: float


class FixedLosses:
    """The linear program in which only `may_lose` (S,) scenarios may lose, at its optimum."""

    def __init__(self, program: ChanceProgram, may_lose: BoolArray, x: FloatArray, margin: float) -> None:
        self._program = program
        self._x = x
        self._objective = program.objective
        self._portfolio = multiples(program, x)
        resolution = 10.0 * FEASIBILITY * np.maximum(1.0, np.abs(program.payoffs).max(axis=1))
        self._held = np.flatnonzero(~may_lose & (self._portfolio <= 1.0 + margin + ACTIVE + resolution))

    @classmethod
    def solved(cls, program: ChanceProgram, may_lose: BoolArray, meter: WorkMeter) -> FixedLosses | None:
        """With the margin that answers keep, or without where there is no room for it; None when there is no optimum.

        Raises LimitReached when the meter runs out.
        """
        for margin in (MARGIN, 0.0):
            x = CutLp(program, meter, margin=margin).maximize(~may_lose)
            if x is not None:
                return cls(program, may_lose, x, margin)
        return None

    @property
    def objective(self) -> float:
        return dot(self._objective, self._x)

    def gain(self, loosening: Loosening, meter: WorkMeter) -> float | None:
        """Objective gained per unit of loosening, >= 0; None where the arithmetic does not settle it."""
        n = len(self._x)
        blocks = RowBlocks()
        self._add_rows(blocks, loosening.rows)
        if len(self._held):
            blocks.add(0.0, np.inf, {0: self._program.payoffs[self._held]})
        extra_lower = self._add_cvar(blocks, loosening.cvar)
        polytope = self._program.polytope
        lower = np.where(self._x <= polytope.lower + ACTIVE, 0.0, -LONGEST_STEP)
        upper = np.where(self._x >= polytope.upper - ACTIVE, loosening.upper, LONGEST_STEP)
        # A column that can be nothing but its one value is held by both.
        model = HighsModel(
            np.concatenate([self._objective, np.zeros(len(extra_lower))]),
            np.concatenate([np.minimum(lower, upper), extra_lower]),
            np.concatenate([upper, np.full(len(extra_lower), LONGEST_STEP)]),
            blocks.assemble(),
            feasibility=FEASIBILITY,
        )
        direction = meter.solve(model)
        if direction is None or np.abs(direction[:n]).max() >= 0.5 * LONGEST_STEP:
            return None
        return max(0.0, dot(self._objective, direction[:n]))

    def _add_rows(self, blocks: RowBlocks, loosening: FloatArray) -> None:
        polytope = self._program.polytope
        activity = products(polytope.rows, self._x)
        for row, value, low, high, moves in zip(
            polytope.rows, activity, polytope.row_lower, polytope.row_upper, loosening, strict=True
        ):
            at_low, at_high = value <= low + ACTIVE, value >= high - ACTIVE
            if at_low or at_high:
                blocks.add(-moves if at_low else -np.inf, moves if at_high else np.inf, {0: row[None, :]})

    def _add_cvar(self, blocks: RowBlocks, loosening: float) -> FloatArray:
        """Rows for the limit on CVaR, if it is reached; lower bounds of the columns that they add (tau, then u).

        Around the optimum a scenario deep in the tail counts with its slope, one outside it not at all, and one on the
        tail's edge, tau, by whichever is worse.
        """
        program = self._program
        value = loss_tail(self._portfolio, program.cvar_confidence).value
        if not np.isfinite(program.cvar_limit) or value < cvar_room(program, self._x) - ACTIVE:
            return np.zeros(0)
        n, losses = len(self._x), np.maximum(0.0, 1.0 - self._portfolio)
        size = (1.0 - program.cvar_confidence) * len(losses)
        tau = float(-np.sort(-losses)[int(np.ceil(size)) - 1])
        deep = np.flatnonzero(losses > tau + ACTIVE)
        edge = np.flatnonzero(np.abs(1.0 - self._portfolio - tau) <= ACTIVE)
        slope = -program.payoffs[deep].sum(axis=0) / size - program.cvar_slack
        weight_of_tau = np.array([[1.0 - len(deep) / size]])
        pieces = {0: slope[None, :], n: weight_of_tau}
        if len(edge):
            pieces[n + 1] = np.full((1, len(edge)), 1.0 / size)
            blocks.add(0.0, np.inf, {0: program.payoffs[edge], n: np.ones((len(edge), 1)), n + 1: np.ones(len(edge))})
        blocks.add(-np.inf, loosening, pieces)
        # tau itself cannot be negative: a scenario that gains something is no loss.
        return np.concatenate([[0.0 if tau <= ACTIVE else -LONGEST_STEP], np.zeros(len(edge))])
