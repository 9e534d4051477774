"""Stop a solve as soon as its objective shows what somebody wanted to know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.solver.program import Interruption, SolveControl, SolveProgress


class ObjectiveTarget:
    """stopped: whether that is why the solve ended; it happens at the same moment every time, so it is reproducible."""

    def __init__(self, control: SolveControl, enough: float) -> None:
        self._asked = control
        self._enough = enough
        self._found = False
        self.stopped = False

    def control(self, work_limit: int) -> SolveControl:
        return replace(self._asked, work_limit=work_limit, interrupted=self._interrupted, progress=self._progress)

    def _interrupted(self) -> Interruption | None:
        asked = self._asked.interrupted()
        if asked is None and self._found:
            self.stopped = True
            return "time"
        return asked

    def _progress(self, progress: SolveProgress) -> None:
        self._found = self._found or (progress.objective is not None and progress.objective > self._enough)
        # Objective and bound are those of a question within the proof, which mean nothing to who looks on.
        self._asked.progress(SolveProgress(None, np.inf, progress.nodes, progress.work))
