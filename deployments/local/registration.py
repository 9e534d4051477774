"""What Prefect must know before it can run anything of ours: work pools and the deployments of prefect.yaml."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from core.errors import Unavailable
from db.settings import child_environment
from deployments.prefect.flow_runs import OPTIMIZE_SESSION, SOLVE_FRONTIER
from deployments.shipped_files import prefect_file
from deployments.worker.warm_worker import WarmWorker

SESSIONS_POOL, MAINTENANCE_POOL = "vcfolio", "vcfolio-maintenance"

REAPER = "reaper/reaper"
DEPLOYMENTS = (
    OPTIMIZE_SESSION,
    SOLVE_FRONTIER,
    "request-optimization/request-optimization",
    REAPER,
    "cache-cleanup/cache-cleanup",
)
"""Without which the stack is not whole. prefect.yaml may have more."""

POOLS: dict[str, tuple[type[BaseWorker[Any, Any, Any]], str]] = {
    SESSIONS_POOL: (WarmWorker, "Sessions: a run is a fork of an interpreter that has everything loaded."),
    MAINTENANCE_POOL: (ProcessWorker, "What runs by schedule: reaper and clean-up."),
}

DEPLOY_TIMEOUT_S = 180.0


def ensure_work_pools() -> None:
    """Makes those that are missing; one that exists stays as its operators have set it."""
    with get_client(sync_client=True) as client:
        for name, (worker, description) in POOLS.items():
            if not _exists(client, name):
                pool = WorkPoolCreate(
                    name=name,
                    type=worker.type,
                    description=description,
                    base_job_template=worker.get_default_base_job_template(),
                )
                try:
                    client.create_work_pool(pool)
                except ObjectAlreadyExists:
                    continue  # by another stack, at the same time


def _exists(client: SyncPrefectClient, pool: str) -> bool:
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        return False
    return True


def register_deployments() -> None:
    """`prefect --no-prompt deploy --all`, which brings their schedules and concurrency limits with it.

    Raises Unavailable with what Prefect said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=prefect_file().parent,
        env=child_environment({"PREFECT_LOGGING_INTERNAL_LEVEL": "ERROR", "NO_COLOR": "1"}),
        capture_output=True,
        text=True,
        timeout=DEPLOY_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"the deployments cannot be registered: {done.stdout}{done.stderr}")


def online_workers(client: SyncPrefectClient, pool: str) -> int:
    """How many workers poll this pool now; 0 for a pool that does not exist."""
    if not _exists(client, pool):
        return 0
    return sum(worker.status is WorkerStatus.ONLINE for worker in client.read_workers_for_work_pool(pool))
