"""Nothing that Prefect's client still has to tell may be left when the server it tells it to is stopped."""

from __future__ import annotations

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

TIMEOUT_S = 10.0


def flush_to_server() -> None:
    """Send the logs and events that are still queued in this process; gives up after `TIMEOUT_S`."""
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=TIMEOUT_S)
