"""A stored frontier, solved wave by wave: each point is kept as soon as it is solved, and looked for before.

A run that is lost is repeated at the first point that is missing; a run that has lost its frontier writes nothing more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Engine

from core.errors import Superseded
from core.frontier.document import frontier_document
from core.frontier.family import Assignment, solve_family
from core.frontier.point import FrontierPoint, solve_point
from core.frontier.point_key import point_key
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.request import parse_request
from core.solver.backends import make_backend
from core.solver.program import Interruption, SolveControl
from db.engine import transaction
from db.fault_points import fault_point
from db.frontier_requests import FrontierFamily, family_of
from db.frontiers import (
    FrontierFence,
    FrontierRow,
    complete_frontier,
    count_point,
    extend_frontier_lease,
    find_point,
    load_frontier,
    store_point,
)
from db.matrices import MatrixReference
from db.matrix_values import load_matrix
from db.settings import Settings
from tasks.heartbeat import Beat

SolveWave = Callable[[list[Assignment]], list[FrontierPoint]]

_RUNNING: dict[UUID, FrontierRun] = {}


@dataclass(frozen=True, slots=True)
class FrontierJob:
    """What a stored frontier consists of."""

    row: FrontierRow
    family: FrontierFamily

    @classmethod
    def load(cls, engine: Engine, frontier_id: UUID) -> Self:
        """Raises Conflict where this version of the product would simulate other scenarios than the session's."""
        with transaction(engine) as conn:
            row = load_frontier(conn, frontier_id)
            return cls(row, family_of(conn, parse_request(row.request), row.variation, row.session_id, row.matrix_key))


class FrontierRun(Beat):
    """One run of a stored frontier: extends its lease while the block lasts, and solves points under it.

    `lost` is set once another run has the frontier, or it has ended; what is being solved ends then.
    """

    def __init__(self, engine: Engine, fence: FrontierFence, settings: Settings) -> None:
        super().__init__(self._extend, settings.ownership_check_s, f"heartbeat of frontier {fence.frontier_id}")
        self.fence = fence
        self._engine = engine
        self._settings = settings
        self._matrix: ScenarioMatrix | None = None
        self._loading = threading.Lock()
        self._job: FrontierJob | None = None

    def __enter__(self) -> Self:
        _RUNNING[self.fence.lease_token] = self
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        del _RUNNING[self.fence.lease_token]

    def _extend(self) -> bool:
        with transaction(self._engine) as conn:
            return extend_frontier_lease(conn, self.fence, self._settings.lease_s)

    @property
    def job(self) -> FrontierJob:
        """Raises as `FrontierJob.load`."""
        if self._job is None:
            self._job = FrontierJob.load(self._engine, self.fence.frontier_id)
        return self._job

    def solve(self, solve_wave: SolveWave) -> dict[str, Any]:
        """The frontier's document, which is stored with its completion. solve_wave: by `point`, each of its points.

        Raises Superseded when another run has the frontier.
        """
        row, members = self.job.row, self.job.family.members
        points = solve_family(row.variation.values, solve_wave, SolveControl().relative_gap)
        document = frontier_document(
            row.variation, self.job.family.asked, points, config=members[0].config, matrix_key=row.matrix_key
        )
        with transaction(self._engine) as conn:
            self._must(complete_frontier(conn, self.fence, document))
        return document

    def point(self, assignment: Assignment, reference: MatrixReference) -> FrontierPoint:
        """The point that is stored, else solved and stored. reference: to the job's matrix.

        Raises Cancelled or Superseded when the frontier is lost meanwhile.
        """
        row, member = self.job.row, self.job.family.members[assignment.rank]
        config = member.config
        value = row.variation.values[assignment.rank]
        key = point_key(config, row.matrix_key, assignment.start)
        with transaction(self._engine) as conn:
            stored = find_point(conn, key)
        if stored is not None:
            point = FrontierPoint.from_json(stored)
        else:
            interrupted = self._alarm()
            control = SolveControl(work_limit=config.work_limit, interrupted=interrupted)
            matrix = self._loaded(reference)
            fault_point("frontier.solving", lambda: interrupted() is not None)
            inputs = simulation_inputs(member.key_document)
            point = solve_point(
                value, config, matrix, inputs, backend=make_backend(), control=control, start=assignment.start
            )
        with transaction(self._engine) as conn:
            self._must(count_point(conn, self.fence))
            # What a time limit cut short is no answer to keep: a faster machine finds a better one.
            if stored is None and point.reproducible:
                store_point(conn, key, row.matrix_key, value, point.as_json())
        fault_point("frontier.point_stored")
        return point

    def _loaded(self, reference: MatrixReference) -> ScenarioMatrix:
        """Once a run, whatever the number of points."""
        with self._loading:
            if self._matrix is None:
                self._matrix = load_matrix(self._engine, reference)
            return self._matrix

    def _alarm(self) -> Callable[[], Interruption | None]:
        deadline = time.monotonic() + self._settings.solve_time_limit_s

        def interrupted() -> Interruption | None:
            if self.lost.is_set():
                return "cancelled"
            return "time" if time.monotonic() > deadline else None

        return interrupted

    def _must(self, written: bool) -> None:
        if not written:
            raise Superseded(f"frontier {self.fence.frontier_id} went on without epoch {self.fence.epoch}")


def run_of(fence: FrontierFence) -> FrontierRun:
    """The run in this process that holds the fence."""
    return _RUNNING[fence.lease_token]
