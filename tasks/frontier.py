"""Tasks of a frontier: the one matrix that all points share, and one point at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from core.frontier.family import Assignment
from core.frontier.point import solve_point
from core.matrix.key import simulation_inputs
from core.request.normalized_config import NormalizedConfig
from core.solver.backends import make_backend
from core.solver.program import Interruption, SolveControl
from db.fault_points import fault_point
from db.frontiers import FrontierFence
from db.matrices import MatrixReference
from db.matrix_values import load_matrix
from tasks import runtime
from tasks.frontier_job import run_of
from tasks.matrix import ensure_generated
from tasks.retries import TASK_RETRY
from tasks.run_names import MATRIX_RUN_NAME
from tasks.stored_matrix import ensure_valid_matrix

_told_to_stop = threading.Event()


def stop_points() -> None:
    """Every point that this process is solving ends as soon as its solver listens, with `Cancelled`."""
    _told_to_stop.set()


@task(
    name="frontier-matrix",
    task_run_name=MATRIX_RUN_NAME,
    cache_policy=NO_CACHE,
    persist_result=False,
    **TASK_RETRY,
)
def shared_matrix(matrix_key: str, key_document: Mapping[str, Any]) -> MatrixReference:
    """The stored matrix of the key, whole and verified; generated if there is none, once however many ask."""
    engine, settings = runtime.engine(), runtime.settings()
    return ensure_valid_matrix(
        engine, matrix_key, lambda _anew: ensure_generated(engine, settings, matrix_key, key_document, fence=None)
    )


@task(
    name="frontier-point",
    task_run_name="point {value}",
    cache_policy=NO_CACHE,
    persist_result=False,
    **TASK_RETRY,
)
def frontier_point(
    value: float,
    config: Mapping[str, Any],
    start: list[float] | None,
    reference: MatrixReference,
    key_document: Mapping[str, Any],
) -> dict[str, Any]:
    """config: normalized, with the limit at `value`. start: weights to start from. key_document: of the matrix.

    A `FrontierPoint` as JSON.
    """
    at_value = NormalizedConfig.model_validate(config)
    deadline = time.monotonic() + runtime.settings().solve_time_limit_s

    def interrupted() -> Interruption | None:
        if _told_to_stop.is_set():
            return "cancelled"
        return "time" if time.monotonic() > deadline else None

    matrix = load_matrix(runtime.engine(), reference)
    fault_point("frontier.solving", lambda: interrupted() is not None)
    point = solve_point(
        value,
        at_value,
        matrix,
        simulation_inputs(key_document),
        backend=make_backend(),
        control=SolveControl(work_limit=at_value.work_limit, interrupted=interrupted),
        start=None if start is None else np.array(start),
    )
    return point.as_json()


@task(
    name="stored-frontier-point",
    task_run_name="point {value}",
    cache_policy=NO_CACHE,
    persist_result=False,
    **TASK_RETRY,
)
def stored_frontier_point(
    value: float,  # noqa: ARG001 - names the task's run
    rank: int,
    start: list[float] | None,
    reference: MatrixReference,
    fence: FrontierFence,
) -> dict[str, Any]:
    """A point of a stored frontier, which the run that holds the fence solves in this process. As JSON."""
    assignment = Assignment(rank, None if start is None else np.array(start))
    return run_of(fence).point(assignment, reference).as_json()
