"""The HiGHS backend: first answers, tightened bounds, then HiGHS's branch and bound on what is undecided."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from core.arrays import FloatArray
from core.solver.also_x import AlsoX
from core.solver.cut_lp import CutLp
from core.solver.highs_model import ModelOutcome
from core.solver.incumbents import IncumbentSearch
from core.solver.program import LOSS_THRESHOLD, ChanceProgram, SolveControl, SolveOutcome, SolveProgress, SolveStatus
from core.solver.reduced_mip import ReducedMip
from core.solver.sums import dot
from core.solver.tightening import Relaxation, ScenarioBounds
from core.solver.work import LimitReached, WorkMeter

SweepResult = Literal["nothing better", "open"]


class HighsBackend:
    """Maximizes a `ChanceProgram`. Single-threaded; the same program and limits give the same bytes."""

    name = "highs"

    def maximize(self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None) -> SolveOutcome:
        return _Search(program, control).run(start)


class _Search:
    """One solve: the best strictly checked answer, the proven bound, and the work spent on them."""

    def __init__(self, program: ChanceProgram, control: SolveControl) -> None:
        self.program = program
        self.control = control
        self.meter = WorkMeter(control)
        self.incumbents = IncumbentSearch(program, self.meter)
        self.bound = np.inf
        self.nodes = 0

    def run(self, start: FloatArray | None) -> SolveOutcome:
        try:
            proven_empty = self._search(start)
        except LimitReached:
            proven_empty = False
        return self._outcome(proven_empty)

    def _search(self, start: FloatArray | None) -> bool:
        """True when the program is proven to have no feasible point."""
        if start is not None:
            self.incumbents.offer(start)
        relaxation = Relaxation(self.program, CutLp(self.program, self.meter))
        root = relaxation.maximize()
        if root is None:
            return True
        self._improve_bound(dot(self.program.objective, root))
        self._first_answers(root, start)
        if self._closed():
            return False
        if self._tighten(relaxation, root) == "nothing better":
            return self.incumbents.x is None
        return self._branch_until_closed(relaxation.bounds, with_cvar=relaxation.lp.has_cvar_cuts)

    def _first_answers(self, root: FloatArray, start: FloatArray | None) -> None:
        until = self.meter.share(0.2)
        if start is not None:
            self.incumbents.improve(start, until)
        self.incumbents.improve(root, until)
        self._report()
        if self._closed():
            return
        AlsoX(self.incumbents).run(self.bound, until)
        self.incumbents.exchange(until)
        self._report()

    def _tighten(self, relaxation: Relaxation, root: FloatArray) -> SweepResult:
        """Decide scenarios by what would still improve on the incumbent; without one, by feasibility alone."""
        model = relaxation.lp.model
        cutoff_row = model.add_row(self.program.objective, self._cutoff())
        until = self.meter.share(0.4)
        for _ in range(2):
            before = (self.bound, self.incumbents.objective)
            model.set_row_bounds(cutoff_row, self._cutoff(), np.inf)
            known = [root] if dot(self.program.objective, root) >= self._cutoff() else []
            better = relaxation.tighten(known, until)
            found = relaxation.maximize() if better else None
            if found is None:
                self._improve_bound(self._cutoff())
                return "nothing better"
            root = found
            self._improve_bound(dot(self.program.objective, root))
            self.incumbents.improve(root, until)
            self._report()
            if self._closed():
                return "nothing better"
            if (self.bound, self.incumbents.objective) == before:
                break  # another sweep would find the same
        return "open"

    def _branch_until_closed(self, bounds: ScenarioBounds, *, with_cvar: bool) -> bool:
        """True when branching proves the program to have no feasible point."""
        outcome = self._branch(bounds, threshold=LOSS_THRESHOLD, with_cvar=with_cvar)
        if outcome == "optimal" and not self._closed() and not with_cvar and np.isfinite(self.program.cvar_limit):
            with_cvar = True
            outcome = self._branch(bounds, threshold=LOSS_THRESHOLD, with_cvar=True)
        if outcome == "optimal" and not self._closed():
            # The proof's hair of tolerance hid the answers. Where none is left without it, none would survive rounding.
            outcome = self._branch(bounds, threshold=1.0, with_cvar=with_cvar)
        return outcome == "infeasible" and self.incumbents.x is None

    def _branch(self, bounds: ScenarioBounds, *, threshold: float, with_cvar: bool) -> ModelOutcome:
        """HiGHS on the undecided rest."""
        cutoff = self._cutoff() if self.incumbents.x is not None else None
        mip = ReducedMip(self.program, bounds, self.control, threshold=threshold, with_cvar=with_cvar, cutoff=cutoff)
        # Only with every strictly feasible point in the program is its bound one.
        proves = threshold == LOSS_THRESHOLD
        # What is left then repairs the answer.
        until = self.meter.share(0.9)

        def must_stop(progress: Any) -> bool:
            self.meter.spent += mip.work_per_checkpoint
            if proves:
                bound = min(self.bound, float(progress.mip_dual_bound))
                self._report(bound, self.nodes + max(0, int(progress.mip_node_count)))
            return self.meter.interrupted() or self.meter.spent >= until

        mip.model.interrupt_when(must_stop)
        outcome = mip.model.run()
        self.nodes += mip.model.nodes
        if proves:
            if outcome != "infeasible":
                self._improve_bound(mip.model.bound)
            elif cutoff is not None:
                self._improve_bound(cutoff)
        if outcome != "infeasible" and mip.model.has_point:
            self._repair(mip.x)
        self.meter.check()
        return outcome

    def _repair(self, x: FloatArray) -> None:
        """The losses of x, with the margin that an answer should keep; without it where that is not good enough."""
        self.incumbents.improve(x, self.meter.limit)
        if not self._closed():
            self.incumbents.round_exactly(x)

    def _cutoff(self) -> float:
        """Only answers at least this good are still of interest; minus infinity before the first."""
        if self.incumbents.x is None:
            return -np.inf
        return self.incumbents.objective + 0.5 * self._room()

    def _room(self) -> float:
        return max(self.control.relative_gap * abs(self.incumbents.objective), self.control.absolute_gap)

    def _improve_bound(self, bound: float) -> None:
        self.bound = min(self.bound, bound)

    def _closed(self) -> bool:
        return self.incumbents.x is not None and self.bound - self.incumbents.objective <= self._room()

    def _report(self, bound: float | None = None, nodes: int | None = None) -> None:
        self.control.progress(
            SolveProgress(
                objective=self.incumbents.objective if self.incumbents.x is not None else None,
                bound=self.bound if bound is None else bound,
                nodes=self.nodes if nodes is None else nodes,
                work=self.meter.spent,
            )
        )

    def _status(self, proven_empty: bool) -> SolveStatus:
        if self.incumbents.x is not None:
            return "optimal" if self._closed() else "feasible"
        return "infeasible" if proven_empty else "unknown"

    def _outcome(self, proven_empty: bool) -> SolveOutcome:
        found = self.incumbents.x is not None
        return SolveOutcome(
            status=self._status(proven_empty),
            x=self.incumbents.x,
            objective=self.incumbents.objective if found else None,
            bound=self.bound,
            nodes=self.nodes,
            work=self.meter.spent,
            reproducible=self.meter.reproducible,
            backend=HighsBackend.name,
        )
