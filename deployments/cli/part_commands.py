"""`vcfolio bridge` and `vcfolio worker`: the parts of the stack, each a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from db.engine import make_engine
from db.fault_points import arm
from db.settings import Settings, export, load_settings
from deployments.cli.stopping import end_with, stop_signal
from deployments.local.prefect_environment import IMPATIENT
from deployments.local.services import flow_services
from deployments.logs import configure_logs

logger = logging.getLogger(__name__)

WORKER_POLL = {"PREFECT_WORKER_QUERY_SECONDS": "0.5"}


def run_bridge(parent: int | None) -> None:
    """Until it is told to stop."""
    export(IMPATIENT)
    with _part("bridge", parent) as settings, stop_signal() as stopping:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - beside Prefect, once that is configured

        from deployments.bridge.bridge import Bridge  # noqa: PLC0415
        from deployments.bridge.metrics import BridgeCounters, DatabaseCollector, serving_metrics  # noqa: PLC0415
        from deployments.bridge.name import application_name  # noqa: PLC0415
        from deployments.prefect.flow_runs import open_flow_runs  # noqa: PLC0415

        url = settings.database_url
        assert url is not None
        engine = make_engine(url, application_name=application_name())
        registry = CollectorRegistry()
        counters = BridgeCounters(registry)
        registry.register(DatabaseCollector(engine))
        try:
            with serving_metrics(registry, settings.metrics_port):
                logger.info("bridge started", extra={"stage": "start"})
                Bridge(engine, settings, open_flow_runs, counters, stopping).run()
        finally:
            engine.dispose()
        logger.info("bridge stopped")


def run_worker(*, scheduled: bool, name: str | None, parent: int | None) -> None:
    """Until it is told to stop. scheduled: for the flows that run by schedule, else for sessions."""
    export(WORKER_POLL)
    component = "maintenance" if scheduled else "worker"
    with _part(component, parent) as settings:
        from prefect.workers.process import ProcessWorker  # noqa: PLC0415

        from deployments.local.registration import MAINTENANCE_POOL, SESSIONS_POOL  # noqa: PLC0415
        from deployments.worker.warm_worker import WarmWorker  # noqa: PLC0415

        named = name or f"{component} {socket.gethostname()} {os.getpid()}"
        worker: Any
        if scheduled:
            worker = ProcessWorker(work_pool_name=MAINTENANCE_POOL, name=named)
        else:
            worker = WarmWorker(work_pool_name=SESSIONS_POOL, name=named, limit=settings.max_sessions)
        asyncio.run(_until_told(worker))


async def _until_told(worker: Any) -> None:
    """What runs is terminated then: it lets go of its lease, and goes on elsewhere."""
    working = asyncio.ensure_future(worker.start(printer=logger.info))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, working.cancel)
    try:
        await working
    except asyncio.CancelledError:
        logger.info("worker stopped")


@contextmanager
def _part(component: str, parent: int | None) -> Iterator[Settings]:
    """A process with logs, armed fault points, a database and a Prefect server to speak to."""
    settings = load_settings()
    configure_logs(component)
    arm(settings.fault)
    end_with(parent)
    with flow_services(settings) as services:
        services.wait_for_prefect()
        yield load_settings()
