"""What is left for HiGHS's branch and bound: the undecided scenarios, in the space of x, z and the CVaR epigraph."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray
from core.solver.highs_model import HighsModel, OptionValue
from core.solver.program import ChanceProgram, SolveControl
from core.solver.rows import RowBlocks
from core.solver.tightening import ScenarioBounds

_BRANCHING: dict[str, OptionValue] = {
    # The answers come from elsewhere: all work goes into the tree.
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
    # HiGHS runs its feasibility pump, seconds that nothing can interrupt, unless there is a bound; this never binds.
    "objective_bound": 1e30,
    "mip_allow_restart": False,
    "mip_pscost_minreliable": 1,
}


class ReducedMip:
    """maximize objective @ x; one binary per undecided scenario; CVaR, where it matters, exactly by its epigraph.

        multiple_s + (threshold - floor_s) z_s >= threshold  for every undecided scenario s
        sum z <= K - (number of lost scenarios)
        u_s + tau + multiple_s >= 1                          for every scenario that may lose
        tau + sum u / ((1 - c) S) - cvar_slack @ x <= cvar_limit,  u >= 0, tau >= 0

    threshold: 1 - 1e-9 and every strictly feasible point is in, so that bounds hold; 1 to seek answers.
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
        blocks = RowBlocks()
        polytope = program.polytope
        blocks.add(polytope.row_lower, polytope.row_upper, {0: polytope.rows})
        if len(free):
            needed = threshold - program.payoff_offset[free]
            blocks.add(needed, np.inf, {0: program.payoffs[free], z: threshold - bounds.floor[free]})
            blocks.add(-np.inf, program.max_losses - bounds.lost_count, {z: np.ones((1, len(free)))})
        if len(tail):
            needed = 1.0 - program.payoff_offset[tail]
            blocks.add(needed, np.inf, {0: program.payoffs[tail], u: np.ones(len(tail)), tau: np.ones((len(tail), 1))})
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
            options={
                **_BRANCHING,
                "mip_rel_gap": 0.5 * control.relative_gap,
                "mip_abs_gap": 0.5 * control.absolute_gap,
            },
        )

    @property
    def work_per_checkpoint(self) -> int:
        """Simplex iterations of a small LP that one of HiGHS's checkpoints costs; it reports no count there.

        Measured from 50 buckets x 200 scenarios to 100 x 5,000: the time grows with rows times entries.
        """
        return max(8, self.model.n_rows * self.model.n_entries // 600_000)

    @property
    def x(self) -> FloatArray:
        return self.model.x[: self._n]
