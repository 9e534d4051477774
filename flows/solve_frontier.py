"""The flow of a frontier that is stored: started by the bridge, its points mapped tasks, wave by wave.

What it stores is kept whatever becomes of the run: repeated, it goes on at the first point that is missing.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

from prefect import flow, unmapped
from prefect import runtime as prefect_runtime
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State, StateType
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from core.errors import Cancelled, Superseded, Unavailable, VcfolioError
from core.frontier.family import Assignment
from core.frontier.point import FrontierPoint
from db.engine import transaction
from db.frontiers import (
    FrontierFence,
    fail_frontier,
    load_frontier,
    record_frontier_run,
    release_frontier,
    take_frontier,
)
from db.sessions import CANCELLED
from flows.frontier_artifact import frontier_markdown
from flows.session_run import superseded
from tasks import runtime
from tasks.frontier import shared_matrix, stored_frontier_point
from tasks.frontier_job import FrontierRun
from tasks.process_owner import lease_owner
from tasks.retries import retry_transient

logger = logging.getLogger(__name__)

# A cast, because Prefect's task runners are invariant in the futures that they give.
_POINTS_AT_ONCE = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=os.cpu_count() or 1))


@flow(name="solve-frontier", flow_run_name="frontier {frontier_id}", persist_result=False, task_runner=_POINTS_AT_ONCE)
def solve_frontier(frontier_id: UUID, epoch: int) -> State[Any]:
    """Carry the stored frontier to its end."""
    with transaction(runtime.engine()) as conn:
        fence = take_frontier(conn, frontier_id, epoch, runtime.settings().lease_s, lease_owner())
    if fence is None:
        return superseded(f"frontier {frontier_id} is leased or at another epoch than {epoch}, or has ended")
    with FrontierRun(runtime.engine(), fence, runtime.settings()) as run:
        return _drive(run)


def _drive(run: FrontierRun) -> State[Any]:
    """Solve it; decide what each way of failing means for the frontier and for the flow run."""
    fence = run.fence
    try:
        _solve(run)
    except (Superseded, Cancelled) as error:
        return _lost(fence, str(error))
    except VcfolioError as error:
        if run.lost.is_set():
            return _lost(fence, str(error))
        if error.retryable:
            _release(fence)
            raise
        _fail(fence, error.code, str(error))
        return Failed(message=f"{error.code}: {error}", data=error)
    except Exception as error:
        _fail(fence, "internal_error", f"{type(error).__name__}: {error}")
        raise
    except BaseException:
        # Interrupted from outside: what is being solved ends, and whoever takes the frontier next may begin at once.
        run.lost.set()
        _release(fence)
        raise
    return Completed(message=f"frontier {fence.frontier_id} is completed")


def _solve(run: FrontierRun) -> None:
    with transaction(runtime.engine()) as conn:
        record_frontier_run(conn, run.fence, UUID(prefect_runtime.flow_run.id))
    variation = run.job.row.variation
    reference = shared_matrix(run.job.row.matrix_key, run.job.family.members[0].key_document)

    def solve_wave(wave: list[Assignment]) -> list[FrontierPoint]:
        futures = stored_frontier_point.map(
            [variation.values[one.rank] for one in wave],
            [one.rank for one in wave],
            [None if one.start is None else one.start.tolist() for one in wave],
            unmapped(reference),
            unmapped(run.fence),
        )
        return [FrontierPoint.from_json(point) for point in futures.result()]

    document = run.solve(solve_wave)
    create_markdown_artifact(
        frontier_markdown(document), key="frontier", description=f"Frontier over {variation.field}"
    )


def _fail(fence: FrontierFence, code: str, reason: str) -> None:
    logger.warning("frontier %s: %s: %s", fence.frontier_id, code, reason)

    def write() -> None:
        with transaction(runtime.engine()) as conn:
            fail_frontier(conn, fence, code, reason)

    with suppress(Unavailable):
        retry_transient(write)


def _release(fence: FrontierFence) -> None:
    """So that the next run need not wait for the lease to run out. Without a database it will, just the same."""
    with suppress(Unavailable), transaction(runtime.engine()) as conn:
        release_frontier(conn, fence)


def _lost(fence: FrontierFence, reason: str) -> State[Any]:
    """Of a run that does not own its frontier any more: cancelled with it, or superseded by another."""
    logger.warning("frontier %s: %s", fence.frontier_id, reason)
    with suppress(VcfolioError), transaction(runtime.engine()) as conn:
        frontier = load_frontier(conn, fence.frontier_id)
        if frontier.error_code == CANCELLED:
            return State(type=StateType.CANCELLED, name="Cancelled", message=frontier.error_reason)
    return superseded(reason)
