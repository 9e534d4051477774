"""What a long-running service of the stack stands on: `vcfolio bridge` and `vcfolio worker`, each a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from db.fault_points import arm
from db.settings import Settings, load_settings
from deployments.cli.stopping import end_with
from deployments.local.services import flow_services
from deployments.logs import configure_logs


@contextmanager
def service(component: str, parent: int | None) -> Iterator[Settings]:
    """A process with logs, armed fault points, a database and a Prefect server to speak to."""
    settings = load_settings()
    configure_logs(component)
    arm(settings.fault)
    end_with(parent)
    with flow_services(settings) as services:
        services.wait_for_prefect()
        yield load_settings()
