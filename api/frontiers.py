"""Frontiers of completed sessions, solved in this process, one at a time, for those who ask.

Nothing is stored: a frontier is what its request and matrix decide, so whoever asks again gets the same again. Kept in
memory while this process lives, the last asked ones.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Engine

from core.errors import Cancelled, Conflict, CorruptMatrix, TooManyWaiting, VcfolioError
from core.frontier.document import frontier_document
from core.frontier.family import Assignment, solve_family
from core.frontier.point import FrontierPoint, solve_point
from core.frontier.variation import Variation
from core.matrix.scenario_matrix import ScenarioMatrix
from core.request import OptimizationRequest, parse_request
from core.request.normalized_config import NormalizedConfig
from core.solver.backends import make_backend
from core.solver.program import Interruption, SolveControl
from db.engine import transaction
from db.matrices import read_reference
from db.matrix_values import load_matrix
from db.requests import resolve_request
from db.sessions import SessionRow

logger = logging.getLogger(__name__)

KEPT = 64
MOST_WAITING = 8
RETRY_AFTER_S = 30.0

Key = tuple[UUID, Variation]


@dataclass(frozen=True, slots=True)
class FrontierState:
    """solved, of: points; those that others ruled out count at the end.

    document: as in the documentation of frontiers, once it is done.
    """

    status: Literal["waiting", "running", "done", "failed"]
    solved: int
    of: int
    document: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    key: Key
    asked: float | None
    configs: list[NormalizedConfig]
    matrix_key: str


class Frontiers:
    """`stop` belongs to the application's lifespan: what is being solved ends then, and is forgotten."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._states: OrderedDict[Key, FrontierState] = OrderedDict()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._worker = ThreadPoolExecutor(1, "frontier")

    def stop(self) -> None:
        self._stopping.set()
        self._worker.shutdown(cancel_futures=True)

    def state(self, session_id: UUID, variation: Variation) -> FrontierState | None:
        """None for one that nobody asked for, or that is forgotten."""
        with self._lock:
            return self._states.get((session_id, variation))

    def ask(self, session: SessionRow, variation: Variation) -> FrontierState:
        """The state of the one that was asked for; begun unless it is there. One that failed is tried again.

        session: completed. Raises BadInput for values that no request may have, Conflict where this version of the
        product would simulate other scenarios than the session's, TooManyWaiting.
        """
        key = (session.session_id, variation)
        known = self.state(*key)
        if known is not None and known.status != "failed":
            return known
        task = self._prepare(session, variation)
        with self._lock:
            known = self._states.get(key)
            if known is not None and known.status != "failed":
                return known
            waiting = sum(state.status in ("waiting", "running") for state in self._states.values())
            if waiting >= MOST_WAITING:
                raise TooManyWaiting(waiting, RETRY_AFTER_S)
            begun = self._states[key] = FrontierState("waiting", 0, len(variation.values))
            self._forget_some()
        self._worker.submit(self._solve, task)
        return begun

    def _prepare(self, session: SessionRow, variation: Variation) -> _Task:
        request = pinned_request(session)
        with transaction(self._engine) as conn:
            family = [resolve_request(conn, varied) for varied in variation.applied(request)]
        if any(member.matrix_key != session.matrix_key for member in family):
            raise Conflict.of(
                "session", str(session.session_id), "was made by another version of vcfolio; ask for it again first"
            )
        configs = [member.config for member in family]
        return _Task((session.session_id, variation), variation.asked(request), configs, session.matrix_key)

    def _forget_some(self) -> None:
        ended = [key for key, state in self._states.items() if state.status in ("done", "failed")]
        for key in ended[: max(0, len(self._states) - KEPT)]:
            del self._states[key]

    def _solve(self, task: _Task) -> None:
        try:
            document = self._document(task)
        except Cancelled:
            with self._lock:
                self._states.pop(task.key, None)
        except VcfolioError as error:
            self._set(task.key, status="failed", error=str(error))
        except Exception:
            logger.exception("frontier of session %s", task.key[0])
            self._set(task.key, status="failed", error="something went wrong here; the log of the API says what")
        else:
            self._set(task.key, status="done", solved=len(task.configs), document=document)

    def _document(self, task: _Task) -> dict[str, Any]:
        variation = task.key[1]
        matrix = self._matrix(task.matrix_key)
        backend = make_backend()
        self._set(task.key, status="running")

        def interrupted() -> Interruption | None:
            return "cancelled" if self._stopping.is_set() else None

        def solve(wave: list[Assignment]) -> list[FrontierPoint]:
            points = []
            for one in wave:
                config = task.configs[one.rank]
                control = SolveControl(work_limit=config.work_limit, interrupted=interrupted)
                value = variation.values[one.rank]
                points.append(solve_point(value, config, matrix, backend, control, start=one.start))
                self._count(task.key)
            return points

        points = solve_family(variation.values, solve, SolveControl().relative_gap)
        return frontier_document(variation, task.asked, points, config=task.configs[0], matrix_key=task.matrix_key)

    def _matrix(self, key: str) -> ScenarioMatrix:
        with transaction(self._engine) as conn:
            reference = read_reference(conn, key)
        if reference is None:
            raise CorruptMatrix(
                "the session's matrix is not stored any more; ask for the session again to make it anew"
            )
        return load_matrix(self._engine, reference)

    def _set(self, key: Key, **changes: Any) -> None:
        with self._lock:
            self._states[key] = replace(self._states[key], **changes)

    def _count(self, key: Key) -> None:
        with self._lock:
            state = self._states[key]
            self._states[key] = replace(state, solved=state.solved + 1)


def pinned_request(session: SessionRow) -> OptimizationRequest:
    """What the session was asked, with the calibration that it was given where it named none.

    Raises BadInput for a request that this version of the product does not accept any more.
    """
    return parse_request({**session.request, "calibrationVersion": session.normalized_config["calibration_version"]})
