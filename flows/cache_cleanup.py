"""The scheduled clean-up: matrices not read for a long time, and outbox rows of sessions that ended long ago."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import runtime
from tasks.cleaning import clean_up


@flow(name="cache-cleanup", flow_run_name="cache cleanup", persist_result=False)
def cache_cleanup() -> State[None]:
    """Evicts what retention no longer keeps; a matrix that an active session needs always stays."""
    report = clean_up(runtime.engine(), runtime.settings())
    return Completed(
        message=f"{report.matrices} matrices, {report.jobs} outbox rows, {report.access} expired credentials and "
        f"{report.points} points of frontiers deleted"
    )
