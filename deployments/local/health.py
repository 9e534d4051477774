"""Health checks of the stack, from outside: they work where none of its services runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from sqlalchemy import Engine

from db.engine import transaction
from db.queue import QueueFigures, queue_figures
from deployments.bridge.name import BRIDGE
from deployments.local.registration import (
    DEPLOYMENTS,
    MAINTENANCE_POOL,
    POOLS,
    REAPER,
    online_workers,
)
from deployments.prefect.reach import OPEN_TO_STRANGERS, lets_strangers_in

LONGEST_DUE_S = 60.0
LONGEST_WAITING_S = 600.0
SCHEDULE_OVERDUE = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. fine: nothing to do. vital: no request can run without it."""

    subject: str
    fine: bool
    vital: bool
    words: str


def database_findings(engine: Engine) -> Iterator[Finding]:
    """Raises Unavailable when the database does not answer."""
    with transaction(engine) as conn:
        figures = queue_figures(conn, BRIDGE)
    yield Finding("database", True, True, "answers")
    bridges = figures.bridges
    words = f"{bridges} connected" if bridges else "none is connected; start one with `vcfolio bridge` or `vcfolio up`"
    yield Finding("bridge", bridges > 0, True, words)
    due = figures.oldest_due_s
    depth = ", ".join(f"{count} {status.value}" for status, count in figures.depth.items() if count) or "empty"
    if due > LONGEST_DUE_S:
        depth += f"; the oldest row has been due for {due:.0f} s: the bridge is not running, or cannot reach Prefect"
    yield Finding("outbox", due <= LONGEST_DUE_S, False, depth)
    yield _waiting_finding(figures)
    long = ", ".join(f"{name} for {seconds:.0f} s" for name, seconds in figures.long_transactions)
    words = f"open for over a minute: {long}; they hold row locks and delay vacuum" if long else ""
    yield Finding("transactions", not long, False, words or "none is open for over a minute")


def _waiting_finding(figures: QueueFigures) -> Finding:
    waiting, with_run, oldest = figures.waiting, figures.with_run, figures.oldest_waiting_s
    words = f"{waiting} waiting" + (f", the oldest for {oldest:.0f} s" if waiting else "")
    if oldest > LONGEST_WAITING_S:
        if with_run:
            words += (
                f"; with a flow run: {with_run}, more workers or a larger VCFOLIO_MAX_SESSIONS would start them sooner"
            )
        if with_run < waiting:
            words += f"; without one: {waiting - with_run}, see `vcfolio outbox list`"
    return Finding("sessions", oldest <= LONGEST_WAITING_S, False, words)


def prefect_findings(
    client: SyncPrefectClient, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Finding]:
    """Raises what the client raises when the server does not answer."""
    client.api_healthcheck()
    missing = [name for name in DEPLOYMENTS if not _deployed(client, name)]
    words = f"missing: {', '.join(missing)}; `vcfolio up` or `prefect --no-prompt deploy --all` registers them"
    yield Finding("deployments", not missing, True, words if missing else "registered")
    for pool in POOLS:
        workers = online_workers(client, pool)
        start = "vcfolio worker" + (" --scheduled" if pool == MAINTENANCE_POOL else "")
        words = f"{workers} polling" if workers else f"none is polling; start one with `{start}` or `vcfolio up`"
        yield Finding(f"workers of {pool}", workers > 0, pool != MAINTENANCE_POOL, words)
    if REAPER not in missing:
        yield _schedule_finding(client, now())


def access_finding(api_url: str) -> Finding:
    """Whether the server answers those who have no credentials."""
    if lets_strangers_in(api_url):
        return Finding("access to Prefect", False, False, f"{api_url} {OPEN_TO_STRANGERS}")
    return Finding("access to Prefect", True, False, "for those alone who know its secret")


def _deployed(client: SyncPrefectClient, name: str) -> bool:
    try:
        client.read_deployment_by_name(name)
    except ObjectNotFound:
        return False
    return True


def _schedule_finding(client: SyncPrefectClient, now: datetime) -> Finding:
    """The reaper should have run within the last minutes; a stack that has just started may report this, too.

    A run that crashed or failed does not count: a schedule may fire on time without effect.
    """
    deployment = client.read_deployment_by_name(REAPER)
    if deployment.paused or not any(schedule.active for schedule in deployment.schedules):
        return Finding("schedules", False, False, "the reaper's schedule is paused: resume it in Prefect's page")
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(
            start_time=FlowRunFilterStartTime(is_null_=False),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.COMPLETED])),
        ),
        sort=FlowRunSort.START_TIME_DESC,
        limit=1,
    )
    begun = runs[0].start_time if runs else None
    newest = begun or deployment.created or now
    ago = (now - newest).total_seconds()
    if now - newest <= SCHEDULE_OVERDUE:
        words = f"the reaper ran {ago:.0f} s ago" if begun else "registered just now, the first run is due soon"
        return Finding("schedules", True, False, words)
    last = f"last did so {ago:.0f} s ago" if begun else "never has"
    words = (
        f"the reaper should run every minute but {last}: no worker, its runs fail, or Prefect's scheduler does not work"
    )
    return Finding("schedules", False, False, words)
