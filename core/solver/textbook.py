"""The chance-constrained program as a textbook writes it, given to HiGHS: the fallback of the branch and bound.

    maximize    objective @ x   over the polytope
    subject to  multiple_s + threshold z_s >= threshold      z_s = 1: scenario s may lose; multiples are never negative
                sum z <= max_losses
                u_s + tau + multiple_s >= 1,  tau + sum u / ((1 - c) S) <= cvar_limit + cvar_slack @ x,  u, tau >= 0

With the threshold that defines a loss every feasible point is in it, so that its bound holds. Its solution tells which
scenarios lose; the linear program with those (`CutLp`) gives the answer, strictly checked. Where the answer is not as
good as the bound, a threshold with a margin, then 1 itself, is tried for a better one.
Sources: Luedtke & Ahmed (2008), "A sample approximation approach for optimization with probabilistic constraints";
Rockafellar & Uryasev (2000) for CVaR.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.errors import SolverFailed
from core.solver.cut_lp import MARGIN, CutLp
from core.solver.effort import Effort
from core.solver.feasibility import is_feasible, multiples, worst_scenarios
from core.solver.highs_model import HighsModel, OptionValue
from core.solver.program import (
    LINEAR_TOLERANCE,
    LOSS_RESOLUTION,
    LOSS_THRESHOLD,
    ChanceProgram,
    SolveControl,
    SolveOutcome,
    SolveProgress,
    SolveStatus,
)
from core.solver.rows import RowBlocks
from core.solver.sums import dot
from core.solver.work import LimitReached, WorkMeter

PROVEN_VIOLATION = 2.0 * LINEAR_TOLERANCE
"""No point is feasible where the least violation is proven to be more."""

ENTRIES_PER_UNIT = 600_000
"""Rows times entries in a unit of work of HiGHS's branch and bound: its time grows with them between checkpoints."""


class TextbookBackend:
    """Maximizes a `ChanceProgram` with HiGHS. Single-threaded; the same program and limits give the same bytes.

    Raises SolverFailed where HiGHS says "infeasible" and cannot prove it another way.
    """

    name = "highs"

    def maximize(self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None) -> SolveOutcome:
        return _Search(program, control).run(start)


class _Search:
    """One solve: the best strictly checked answer, the proven bound, and the work spent on them."""

    def __init__(self, program: ChanceProgram, control: SolveControl) -> None:
        self.program = program
        self.control = control
        self.meter = WorkMeter(control)
        self.x: FloatArray | None = None
        self.objective = -np.inf
        self.bound = _trivial_bound(program)
        self.nodes = 0
        self.stopped = False
        """Whether the last run of HiGHS was ended by the work limit or from outside."""

    def run(self, start: FloatArray | None) -> SolveOutcome:
        proven_empty = False
        try:
            if start is not None:
                self._offer(start)
            proven_empty = self._search()
        except LimitReached:
            pass
        found = self.x is not None
        status: SolveStatus = "infeasible" if proven_empty else "unknown"
        if found:
            status = "optimal" if self._closed() else "feasible"
        objective = self.objective if found else None
        bound = max(self.bound, self.objective)
        effort = Effort(self.nodes, self.meter.spent, self.meter.reproducible)
        return SolveOutcome(status, self.x, objective, bound, effort, TextbookBackend.name)

    def _search(self) -> bool:
        """True when the program is proven to have no feasible point."""
        for threshold in (LOSS_THRESHOLD, 1.0 + MARGIN, 1.0):
            self._report(self.bound, self.nodes)
            if self._closed():
                break
            # Half the gap, the other half is for what the strict check costs.
            options = _options(0.5 * self.control.relative_gap, 0.5 * self.control.absolute_gap)
            x = self._solve(textbook_model(self.program, threshold, options), proves=threshold == LOSS_THRESHOLD)
            if x is not None:
                self._answer_near(x)
            elif threshold == LOSS_THRESHOLD:
                if self.x is not None:
                    raise SolverFailed("HiGHS calls a program infeasible of which a feasible point is known")
                return self._is_proven_empty()
        self._report(self.bound, self.nodes)
        return False

    def _solve(self, model: HighsModel, *, proves: bool) -> FloatArray | None:
        """The best point (n,) found; None when there is none. proves: its bound is one of the program."""
        cost = max(1, model.n_rows * model.n_entries // ENTRIES_PER_UNIT)
        # What is left then makes an answer of the point.
        until = self.meter.share(0.9)

        def must_stop(progress: Any) -> bool:
            self.meter.spent += cost
            if proves:
                nodes = self.nodes + max(0, int(progress.mip_node_count))
                self._report(min(self.bound, float(progress.mip_dual_bound)), nodes)
            self.stopped = self.meter.interrupted() or self.meter.spent >= until
            return self.stopped

        self.stopped = False
        model.interrupt_when(must_stop)
        outcome = model.run()
        self.nodes += model.nodes
        self.meter.spent += 1
        if outcome == "infeasible":
            return None
        if proves:
            self.bound = min(self.bound, model.bound)
        if model.has_point:
            return model.x[: len(self.program.objective)]
        self.meter.check()
        raise LimitReached

    def _answer_near(self, x: FloatArray) -> None:
        """The optimum with the losses of x, with a margin above 1 or, where there is no room for it, without."""
        self._offer(x)
        required = ~worst_scenarios(multiples(self.program, x), self.program.max_losses)
        for margin in (MARGIN, 0.0):
            if not self._closed():
                answer = CutLp(self.program, self.meter, margin=margin).maximize(required)
                if answer is not None:
                    self._offer(answer)

    def _offer(self, x: FloatArray) -> None:
        """Take x if it is better and strictly feasible, not just on the threshold of a loss, where rounding decides."""
        clipped = np.clip(x, self.program.polytope.lower, self.program.polytope.upper)
        value = dot(self.program.objective, clipped)
        if value > self.objective and is_feasible(self.program, clipped, 1.0 - LOSS_RESOLUTION):
            self.x, self.objective = clipped, value

    def _is_proven_empty(self) -> bool:
        """Whether HiGHS, asked for the least violation of all limits, proves that it is not zero.

        "Infeasible" alone is a statement without evidence, and has been wrong.
        """
        # However wide a gap the answer may have: half of the least violation is enough of a proof that it is not zero.
        options = _options(0.5, 0.5 * PROVEN_VIOLATION)
        model = textbook_model(self.program, LOSS_THRESHOLD, options, elastic=True)
        self._solve(model, proves=False)
        if -model.bound > PROVEN_VIOLATION:
            return True
        self.meter.check()
        if self.stopped:
            raise LimitReached
        raise SolverFailed("HiGHS calls the program infeasible, and does not prove it")

    def _closed(self) -> bool:
        room = max(self.control.relative_gap * abs(self.objective), self.control.absolute_gap)
        return self.x is not None and self.bound - self.objective <= room

    def _report(self, bound: float, nodes: int) -> None:
        objective = None if self.x is None else self.objective
        self.control.progress(SolveProgress(objective, max(bound, self.objective), nodes, self.meter.spent))


def _options(relative_gap: float, absolute_gap: float) -> dict[str, OptionValue]:
    # Without a bound HiGHS runs its feasibility pump, seconds that nothing can interrupt; this one never binds.
    return {"mip_rel_gap": relative_gap, "mip_abs_gap": absolute_gap, "objective_bound": 1e30}


def textbook_model(
    program: ChanceProgram, threshold: float, options: dict[str, OptionValue], *, elastic: bool = False
) -> HighsModel:
    """Columns: x (n), z (S), u (S), tau; elastic: and one more, by how much every limit may be broken, to be least."""
    s, n = program.payoffs.shape
    z, u, tau, width = n, n + s, n + 2 * s, n + 2 * s + (2 if elastic else 1)
    slack = {width - 1: np.ones((1, 1))} if elastic else {}
    polytope, ones = program.polytope, np.ones(s)
    blocks = RowBlocks()
    for row, low, high in zip(polytope.rows, polytope.row_lower, polytope.row_upper, strict=True):
        for lower, upper, sign in ((low, np.inf, 1.0), (-np.inf, high, -1.0)) if elastic else ((low, high, 1.0),):
            blocks.add(lower, upper, {0: row[None, :], **{column: sign * one for column, one in slack.items()}})
    blocks.add(threshold - program.payoff_offset, np.inf, {0: program.payoffs, z: threshold * ones})
    blocks.add(-np.inf, program.max_losses, {z: ones[None, :], **{column: -one for column, one in slack.items()}})
    if np.isfinite(program.cvar_limit):
        blocks.add(1.0 - program.payoff_offset, np.inf, {0: program.payoffs, u: ones, tau: ones[:, None]})
        in_tail = ones[None, :] / ((1.0 - program.cvar_confidence) * s)
        pieces = {0: -program.cvar_slack[None, :], u: in_tail, tau: np.ones((1, 1))}
        blocks.add(-np.inf, program.cvar_limit, {**pieces, **{column: -one for column, one in slack.items()}})
    objective, upper, binary = np.zeros(width), np.full(width, np.inf), np.zeros(width, dtype=bool)
    objective[:n] = 0.0 if elastic else program.objective
    objective[tau + 1 :] = -1.0
    upper[:n], upper[z:u], binary[z:u] = polytope.upper, 1.0, True
    lower = np.concatenate([polytope.lower, np.zeros(width - n)])
    return HighsModel(objective, lower, upper, blocks.assemble(), integer=binary, options=options)


def _trivial_bound(program: ChanceProgram) -> float:
    """Of the objective, by the columns' bounds alone."""
    columns = program.polytope
    return float(np.maximum(program.objective * columns.lower, program.objective * columns.upper).sum())
