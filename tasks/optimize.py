"""From a stored matrix to the best portfolio within the limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from prefect import task
from prefect.cache_policies import NO_CACHE

from core.matrix.key import simulation_inputs
from core.pipeline import Optimized, optimize
from core.portfolio.passes import PRIMARY_STEP
from core.request.normalized_config import NormalizedConfig
from core.solver.program import Interruption, SolveControl, SolveProgress
from db.engine import transaction
from db.fault_points import fault_point
from db.matrices import MatrixReference
from db.session_rows import Fence
from db.sessions import load_session
from tasks import runtime
from tasks.heartbeat import Heartbeat, heartbeat_of
from tasks.retries import TASK_RETRY


@task(
    name="optimize",
    task_run_name="optimize",
    cache_policy=NO_CACHE,
    persist_result=False,
    **TASK_RETRY,
)
def optimize_portfolio(fence: Fence, reference: MatrixReference) -> Optimized:
    """Raises Infeasible, NoAnswerWithinLimit; Cancelled when the session is lost or cancelled meanwhile."""
    heartbeat = heartbeat_of(fence)
    with transaction(runtime.engine()) as conn:
        session = load_session(conn, fence.session_id)
    config = NormalizedConfig.model_validate(session.normalized_config)
    inputs = simulation_inputs(session.matrix_key_json)
    watch = _Watch(heartbeat, runtime.settings().solve_time_limit_s)
    control = SolveControl(work_limit=config.work_limit, interrupted=watch.interrupted, progress=watch.progress)
    matrix = heartbeat.matrix.load(reference)

    return run_in_solver_thread(lambda: optimize(config, matrix, control, inputs=inputs, step=watch.begin), watch.stop)


def run_in_solver_thread(solve: Callable[[], Optimized], stop: Callable[[], None]) -> Optimized:
    """Signals (Ctrl-C, SIGTERM) make Python raise in the main thread, wherever it is. In a solver that calls back from
    C++ that would crash the process, so the solver runs in another thread, and is told to stop."""
    with ThreadPoolExecutor(1, thread_name_prefix="solver") as pool:
        running = pool.submit(solve)
        try:
            return running.result()
        finally:
            stop()


class _Watch:
    """Carries the solver's progress to the heartbeat, and to the solver the heartbeat's alarm or the order to stop."""

    def __init__(self, heartbeat: Heartbeat, time_limit_s: float) -> None:
        self._heartbeat = heartbeat
        self._deadline = time.monotonic() + time_limit_s
        self._step = ""
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def begin(self, step: str) -> None:
        self._step = step
        self._heartbeat.report({"stage": "optimize", "step": step})
        fault_point("optimize.solving", lambda: self.interrupted() is not None)

    def progress(self, progress: SolveProgress) -> None:
        # Other steps optimize something else than the multiple, which these two fields are read as.
        of_multiple = self._step == PRIMARY_STEP
        self._heartbeat.report(
            {
                "stage": "optimize",
                "step": self._step,
                "objective": progress.objective if of_multiple else None,
                "bound": progress.bound if of_multiple and abs(progress.bound) < float("inf") else None,
                "nodes": progress.nodes,
                "work": progress.work,
            }
        )

    def interrupted(self) -> Interruption | None:
        if self._heartbeat.lost.is_set() or self._stopped.is_set():
            return "cancelled"
        return "time" if time.monotonic() > self._deadline else None
