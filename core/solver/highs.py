"""The HiGHS backend: first answers, tightened bounds, then HiGHS's branch and bound on what is undecided."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from core.arrays import FloatArray
from core.errors import Cancelled
from core.solver.cut_lp import CutLp
from core.solver.incumbents import MARGIN, AlsoX, IncumbentSearch
from core.solver.program import LOSS_THRESHOLD, ChanceProgram, SolveControl, SolveOutcome, SolveProgress, SolveStatus
from core.solver.reduced_mip import ReducedMip
from core.solver.tightening import Relaxation, ScenarioBounds
from core.solver.work import LimitReached, WorkMeter

WORK_PER_CHECKPOINT = 18
"""Simplex iterations that one of HiGHS's MIP checkpoints stands for (measured mean; it reports no count there)."""

SweepResult = Literal["nothing better", "open"]


class HighsBackend:
    """Maximises a `ChanceProgram`. Single-threaded; the same program and limits give the same bytes."""

    name = "highs"

    def maximise(self, program: ChanceProgram, control: SolveControl, start: FloatArray | None = None) -> SolveOutcome:
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
        self._checkpoints = 0

    def run(self, start: FloatArray | None) -> SolveOutcome:
        try:
            proven_empty = self._search(start)
        except LimitReached:
            proven_empty = False
        return self._outcome(proven_empty)

    def _search(self, start: FloatArray | None) -> bool:
        """True when the program is proven to have no feasible point."""
        relaxation = Relaxation(self.program, CutLp(self.program, self.meter, margin=0.0))
        root = relaxation.maximise()
        if root is None:
            return True
        self._improve_bound(float(self.program.objective @ root))
        self._first_answers(root, start)
        if self._closed():
            return False
        if self._tighten(relaxation, root) == "nothing better":
            return self.incumbents.x is None
        with_cvar = relaxation.lp.cvar_cuts > 0
        empty = self._branch(relaxation.bounds, threshold=LOSS_THRESHOLD, with_cvar=with_cvar)
        if not empty and not self._closed() and not with_cvar:
            empty = self._branch(relaxation.bounds, threshold=LOSS_THRESHOLD, with_cvar=True)
        if not empty and self.incumbents.x is None:
            # The proof's hair of tolerance hides the answers; seek them with the margin they must keep.
            self._branch(relaxation.bounds, threshold=1.0 + MARGIN, with_cvar=True)
        return empty

    def _first_answers(self, root: FloatArray, start: FloatArray | None) -> None:
        until = self.meter.share(0.2)
        if start is not None:
            self.incumbents.offer(start)
            self.incumbents.improve(start, until)
        self.incumbents.improve(root, until)
        self._report()
        if self._closed():
            return
        self.incumbents.exchange(until)
        if not self._closed():
            AlsoX(self.incumbents).run(self.bound, until)
            self.incumbents.exchange(until)
        self._report()

    def _tighten(self, relaxation: Relaxation, root: FloatArray) -> SweepResult:
        """Decide scenarios by what would still improve on the incumbent; without one, by feasibility alone."""
        model = relaxation.lp.model
        cutoff_row = model.add_row(self.program.objective, self._cutoff())
        until = self.meter.share(0.4)
        for _ in range(2):
            model.set_row_bounds(cutoff_row, self._cutoff(), np.inf)
            known = [root] if self.program.objective @ root >= self._cutoff() else []
            better = relaxation.tighten(known, until)
            found = relaxation.maximise(self.program.objective) if better else None
            if found is None:
                self._improve_bound(self._cutoff())
                return "nothing better"
            root = found
            self._improve_bound(float(self.program.objective @ root))
            self.incumbents.improve(root, until)
            self._report()
            if self._closed():
                return "nothing better"
        return "open"

    def _branch(self, bounds: ScenarioBounds, *, threshold: float, with_cvar: bool) -> bool:
        """HiGHS on the undecided rest. True when that proves the program to have no feasible point."""
        cutoff = self._cutoff() if self.incumbents.x is not None else None
        mip = ReducedMip(self.program, bounds, self.control, threshold=threshold, with_cvar=with_cvar, cutoff=cutoff)
        until = self.meter.share(0.9)
        before = self._checkpoints
        mip.model.interrupt_when(lambda progress: self._checkpoint(progress, before, until))
        outcome = mip.model.run()
        self.nodes += mip.model.nodes
        self.meter.spent += (self._checkpoints - before) * WORK_PER_CHECKPOINT
        if self.control.interrupted() == "cancelled":
            raise Cancelled("the solve was told to stop")
        if outcome == "infeasible":
            if cutoff is not None:
                self._improve_bound(cutoff)
            return cutoff is None
        if threshold < 1.0:
            self._improve_bound(mip.model.bound)
        if mip.model.has_point:
            self.incumbents.offer(mip.x)
            self.incumbents.improve(mip.x, self.meter.limit)
        self.meter.check()
        return False

    def _checkpoint(self, progress: Any, before: int, until: int) -> bool:
        """Called by HiGHS at its own, deterministic checkpoints; True stops it."""
        self._checkpoints += 1
        interruption = self.control.interrupted()
        if interruption == "time":
            self.meter.reproducible = False
        if np.isfinite(progress.mip_dual_bound):
            spent = self.meter.spent + (self._checkpoints - before) * WORK_PER_CHECKPOINT
            bound = min(self.bound, float(progress.mip_dual_bound))
            self._report(bound, self.nodes + int(progress.mip_node_count), spent)
        exhausted = self.meter.spent + (self._checkpoints - before) * WORK_PER_CHECKPOINT >= until
        return exhausted or interruption is not None

    def _cutoff(self) -> float:
        """Only answers at least this good are still of interest; minus infinity before the first."""
        objective = self.incumbents.objective
        if self.incumbents.x is None:
            return -np.inf
        return objective + 0.5 * max(self.control.relative_gap * abs(objective), self.control.absolute_gap)

    def _improve_bound(self, bound: float) -> None:
        self.bound = min(self.bound, bound)

    def _closed(self) -> bool:
        objective = self.incumbents.objective
        room = max(self.control.relative_gap * abs(objective), self.control.absolute_gap)
        return self.incumbents.x is not None and self.bound - objective <= room

    def _report(self, bound: float | None = None, nodes: int | None = None, work: int | None = None) -> None:
        self.control.progress(
            SolveProgress(
                objective=self.incumbents.objective if self.incumbents.x is not None else None,
                bound=self.bound if bound is None else bound,
                nodes=self.nodes if nodes is None else nodes,
                work=self.meter.spent if work is None else work,
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
