"""A HiGHS model: built from arrays, grown row by row, every return status checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import highspy
import numpy as np

from core.arrays import BoolArray, FloatArray
from core.errors import SolverFailed
from core.solver.rows import SparseRows

ModelOutcome = Literal["optimal", "infeasible", "limit", "interrupted"]

_OUTCOMES: dict[Any, ModelOutcome] = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    # Every column is bounded, so what is unbounded or infeasible is infeasible.
    highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
    highspy.HighsModelStatus.kIterationLimit: "limit",
    highspy.HighsModelStatus.kSolutionLimit: "limit",
    highspy.HighsModelStatus.kInterrupt: "interrupted",
}

OptionValue = bool | int | float | str

_BASE_OPTIONS: dict[str, OptionValue] = {
    "threads": 1,
    "parallel": "off",
    "random_seed": 42,
    "mip_feasibility_tolerance": 1e-7,
    # HiGHS drops smaller coefficients; with the default of 1e-9, scaled rows would lose what matters.
    "small_matrix_value": 1e-12,
}


class _SilentHighs(highspy.Highs):
    """Standard output belongs to the user; HiGHS prints a banner as soon as callbacks are enabled."""

    def enableCallbacks(self) -> None:  # noqa: N802 - highspy's name
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class HighsModel:
    """maximize objective @ x over rows and column bounds, some columns integer.

    objective, lower, upper: (n,); integer: (n,) or None for an LP.
    feasibility: primal and dual feasibility tolerance.
    """

    def __init__(
        self,
        objective: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        rows: SparseRows,
        *,
        integer: BoolArray | None = None,
        feasibility: float = 1e-7,
        options: dict[str, OptionValue] | None = None,
    ) -> None:
        self.n_columns = len(objective)
        self.n_rows = len(rows.lower)
        self.n_entries = len(rows.values)
        self._columns = np.arange(self.n_columns, dtype=np.int32)
        self._is_mip = integer is not None and bool(integer.any())
        self._wanted: Callable[[Any], bool] = lambda _progress: False
        self._highs = _SilentHighs()  # type: ignore[no-untyped-call]
        settings: dict[str, OptionValue] = {
            **_BASE_OPTIONS,
            "primal_feasibility_tolerance": feasibility,
            "dual_feasibility_tolerance": feasibility,
            # Hot starts after a new row or objective are what makes the many small LPs cheap.
            **({} if self._is_mip else {"presolve": "off"}),
            **(options or {}),
        }
        for name, value in settings.items():
            _checked(self._highs.setOptionValue(name, value), f"option {name}={value!r}")
        _checked(
            self._highs.passModel(_as_highs_lp(objective, lower, upper, rows, integer)),
            "the model",
        )
        if self._is_mip:
            self._highs.cbMipInterrupt += self._on_checkpoint
        else:
            self._highs.cbSimplexInterrupt += self._on_checkpoint

    def add_row(self, row: FloatArray, lower: float, upper: float = np.inf) -> int:
        """Append `lower <= row @ x <= upper`; returns the row's index."""
        _checked(self._highs.addRow(lower, upper, self.n_columns, self._columns, np.ascontiguousarray(row)), "a row")
        self.n_rows += 1
        return self.n_rows - 1

    def set_row_bounds(self, index: int, lower: float, upper: float) -> None:
        _checked(self._highs.changeRowBounds(index, lower, upper), "row bounds")

    def set_objective(self, objective: FloatArray) -> None:
        _checked(
            self._highs.changeColsCost(self.n_columns, self._columns, np.ascontiguousarray(objective)),
            "the objective",
        )

    def run(self, iteration_limit: int | None = None) -> ModelOutcome:
        """Solve; an LP stops after `iteration_limit` simplex iterations."""
        if iteration_limit is not None:
            _checked(self._highs.setOptionValue("simplex_iteration_limit", iteration_limit), "iteration limit")
        status = self._highs.run()
        outcome = _OUTCOMES.get(self._highs.getModelStatus())
        if status == highspy.HighsStatus.kError or outcome is None:
            # A numerically lost basis, or another user of HiGHS in this process has set its number of threads for all:
            # once more from nothing, with whatever that is (the simplex method uses one), then give up loudly.
            self._highs.clearSolver()
            _checked(self._highs.setOptionValue("threads", 0), "the number of threads")
            status = self._highs.run()
            outcome = _OUTCOMES.get(self._highs.getModelStatus())
        if status == highspy.HighsStatus.kError or outcome is None:
            shown = self._highs.modelStatusToString(self._highs.getModelStatus())
            raise SolverFailed(f"HiGHS ended with status {shown!r}")
        return outcome

    def interrupt_when(self, wanted: Callable[[Any], bool]) -> None:
        """Stop as soon as `wanted(progress)` holds; it is asked at HiGHS's own, deterministic checkpoints.

        Of an LP that is every iteration.
        """
        self._wanted = wanted

    def _on_checkpoint(self, event: Any) -> None:
        if self._wanted(event.data_out):
            event.data_in.user_interrupt = True

    @property
    def x(self) -> FloatArray:
        return np.array(self._highs.getSolution().col_value)

    @property
    def row_duals(self) -> FloatArray:
        return np.array(self._highs.getSolution().row_dual)

    @property
    def objective(self) -> float:
        return float(self._highs.getInfo().objective_function_value)

    @property
    def has_point(self) -> bool:
        return bool(self._highs.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible)

    @property
    def bound(self) -> float:
        """Proven upper bound. HiGHS gives a model without integer columns a bound of 0; there the optimum is one."""
        info = self._highs.getInfo()
        if self._is_mip:
            return float(info.mip_dual_bound)
        solved = self._highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        return float(info.objective_function_value) if solved else np.inf

    @property
    def nodes(self) -> int:
        return max(0, int(self._highs.getInfo().mip_node_count))

    @property
    def iterations(self) -> int:
        """Simplex iterations of the last run."""
        return max(0, int(self._highs.getInfo().simplex_iteration_count))


def _checked(status: Any, what: str) -> None:
    if status == highspy.HighsStatus.kError:
        raise SolverFailed(f"HiGHS refused {what}")


def _as_highs_lp(
    objective: FloatArray, lower: FloatArray, upper: FloatArray, rows: SparseRows, integer: BoolArray | None
) -> Any:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(objective), len(rows.lower)
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = objective, lower, upper
    lp.row_lower_, lp.row_upper_ = rows.lower, rows.upper
    matrix = lp.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kRowwise
    matrix.num_col_, matrix.num_row_ = lp.num_col_, lp.num_row_
    matrix.start_, matrix.index_ = rows.starts.astype(np.int32), rows.indices.astype(np.int32)
    matrix.value_ = rows.values
    if integer is not None:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(flag)] for flag in integer]
    return lp
