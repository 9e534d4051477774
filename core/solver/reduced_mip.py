"""What is left for HiGHS's branch and bound: the undecided scenarios, in the space of x, z and the CVaR epigraph."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.solver.highs_model import HighsModel
from core.solver.program import ChanceProgram, SolveControl
from core.solver.rows import RowBlocks
from core.solver.tightening import ScenarioBounds


class ReducedMip:
    """maximise objective @ x; one binary per undecided scenario; CVaR, where it matters, exactly by its epigraph.

        multiple_s + (1 - floor_s) z_s >= threshold          for every undecided scenario s
        sum z <= K - (number of lost scenarios)
        u_s + tau + multiple_s >= 1                          for every scenario that may lose
        tau + sum u / ((1 - c) S) - cvar_slack @ x <= cvar_limit,  u >= 0, tau >= 0

    threshold: 1 - 1e-9 and every strictly feasible point is in, so that bounds hold; above 1 to seek answers.
    cutoff: only objectives at least this are sought; None for any.
    """

    def __init__(
        self,
        program: ChanceProgram,
        bounds: ScenarioBounds,
        control: SolveControl,
        *,
        threshold: float,
        with_cvar: bool,
        cutoff: float | None,
    ) -> None:
        self._n = n = len(program.objective)
        free = np.flatnonzero(bounds.free)
        tail = np.flatnonzero(~bounds.safe) if with_cvar else free[:0]
        z, u = n, n + len(free)
        tau = u + len(tail)
        scale = np.maximum(1.0, np.abs(program.payoffs).max(axis=1))
        blocks = RowBlocks()
        polytope = program.polytope
        blocks.add(polytope.row_lower, polytope.row_upper, {0: polytope.rows})
        if len(free):
            blocks.add(
                (threshold - program.payoff_offset[free]) / scale[free],
                np.inf,
                {0: program.payoffs[free] / scale[free, None], z: (1.0 - bounds.floor[free]) / scale[free]},
            )
            blocks.add(-np.inf, program.max_losses - int(bounds.lost.sum()), {z: np.ones((1, len(free)))})
        if len(tail):
            blocks.add(
                (1.0 - program.payoff_offset[tail]) / scale[tail],
                np.inf,
                {0: program.payoffs[tail] / scale[tail, None], u: 1.0 / scale[tail], tau: 1.0 / scale[tail, None]},
            )
            tail_size = (1.0 - program.cvar_confidence) * len(program.payoff_offset)
            epigraph = {
                0: -program.cvar_slack[None, :],
                u: np.full((1, len(tail)), 1.0 / tail_size),
                tau: np.ones((1, 1)),
            }
            blocks.add(-np.inf, program.cvar_limit, epigraph)
        if cutoff is not None:
            blocks.add(cutoff, np.inf, {0: program.objective[None, :]})
        extra = tau - n + (1 if len(tail) else 0)
        binary = np.zeros(n + extra, dtype=bool)
        binary[z:u] = True
        upper = np.concatenate([polytope.upper, np.full(extra, np.inf)])
        upper[binary] = 1.0
        self.model = HighsModel(
            np.concatenate([program.objective, np.zeros(extra)]),
            np.concatenate([polytope.lower, np.zeros(extra)]),
            upper,
            blocks.assemble(),
            integer=binary,
            # Half the gap: the other half is spent by the cut-off and by repairing the answer.
            options={"mip_rel_gap": 0.5 * control.relative_gap, "mip_abs_gap": 0.5 * control.absolute_gap},
        )

    @property
    def x(self) -> FloatArray:
        return self.model.x[: self._n]
