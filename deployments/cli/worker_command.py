"""`vcfolio worker`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from typing import Annotated, Any

import typer

from db.settings import export
from deployments.cli.arguments import Parent
from deployments.cli.service import service

logger = logging.getLogger(__name__)

WORKER_POLL = {"PREFECT_WORKER_QUERY_SECONDS": "0.5"}


def worker(
    *,
    scheduled: Annotated[bool, typer.Option("--scheduled", help="For scheduled flows, instead of sessions.")] = False,
    name: Annotated[str | None, typer.Option(help="Its name in Prefect; default host and process.")] = None,
    parent: Parent = None,
) -> None:
    """Until it is told to stop. scheduled: for the flows that run by schedule, else for sessions."""
    export(WORKER_POLL)
    component = "maintenance" if scheduled else "worker"
    with service(component, parent) as settings:
        from prefect.workers.process import ProcessWorker  # noqa: PLC0415

        from deployments.local.registration import MAINTENANCE_POOL, SESSIONS_POOL  # noqa: PLC0415
        from deployments.worker.warm_worker import WarmWorker  # noqa: PLC0415

        named = name or f"{component} {socket.gethostname()} {os.getpid()}"
        polling: Any
        if scheduled:
            polling = ProcessWorker(work_pool_name=MAINTENANCE_POOL, name=named)
        else:
            polling = WarmWorker(work_pool_name=SESSIONS_POOL, name=named, limit=settings.max_sessions)
        asyncio.run(_until_stopped(polling))


async def _until_stopped(worker: Any) -> None:
    """Then the runs are terminated: they release their leases, and are resumed elsewhere."""
    working = asyncio.ensure_future(worker.start(printer=logger.info))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, working.cancel)
    try:
        await working
    except asyncio.CancelledError:
        logger.info("worker stopped")
