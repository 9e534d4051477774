"""`vcfolio bridge`."""

from __future__ import annotations

import logging

from db.engine import make_engine
from db.settings import export
from deployments.cli.arguments import Parent
from deployments.cli.service import service
from deployments.cli.stopping import stop_signal
from deployments.local.prefect_environment import NO_CLIENT_RETRIES

logger = logging.getLogger(__name__)


def bridge(parent: Parent = None) -> None:
    """Until it is told to stop."""
    export(NO_CLIENT_RETRIES)
    with service("bridge", parent) as settings, stop_signal() as stopping:
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
