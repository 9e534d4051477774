"""What `vcfolio doctor` says of a real Prefect server that has no work pool of ours, and of the reaper's schedule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.states import Completed, Crashed, Running, State

from deployments.local.health import SCHEDULE_OVERDUE, Finding, prefect_findings
from deployments.local.registration import REAPER

pytestmark = pytest.mark.xdist_group("flows")

LATER = SCHEDULE_OVERDUE + timedelta(seconds=30)


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def reaper(client: SyncPrefectClient) -> Iterator[UUID]:
    """The deployment; no worker runs what its schedule asks for."""
    flow, _, name = REAPER.partition("/")
    minute = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(minutes=1)), active=True)
    deployment_id = client.create_deployment(client.create_flow_from_name(flow), name, schedules=[minute])
    yield deployment_id
    client.delete_deployment(deployment_id)


def told(client: SyncPrefectClient, after: timedelta = timedelta()) -> Finding:
    findings = prefect_findings(client, lambda: datetime.now(UTC) + after)
    return next(finding for finding in findings if finding.subject == "schedules")


def ran(client: SyncPrefectClient, deployment_id: UUID, end: State[None]) -> None:
    run = client.create_flow_run_from_deployment(deployment_id)
    for state in (Running(), end):
        client.set_flow_run_state(run.id, state, force=True)


def test_pools_that_are_not_there_have_no_workers(client: SyncPrefectClient) -> None:
    findings = {finding.subject: finding for finding in prefect_findings(client)}
    assert not findings["deployments"].fine
    for subject in ("workers of vcfolio", "workers of vcfolio-maintenance"):
        assert findings[subject].words.startswith("none is polling")


def test_a_schedule_may_be_new_but_not_for_long(client: SyncPrefectClient, reaper: UUID) -> None:
    assert told(client).fine
    late = told(client, LATER)
    assert not late.fine
    assert "never has" in late.words


def test_runs_that_crashed_are_not_runs(client: SyncPrefectClient, reaper: UUID) -> None:
    ran(client, reaper, Crashed())
    assert "never has" in told(client, LATER).words
    ran(client, reaper, Completed())
    assert told(client).words.startswith("the reaper ran ")
    assert "last did so 2" in told(client, LATER).words


def test_a_paused_schedule_is_said_to_be_paused_at_once(client: SyncPrefectClient, reaper: UUID) -> None:
    schedule = client.read_deployment_schedules(reaper)[0]
    client.update_deployment_schedule(reaper, schedule.id, active=False)
    assert not told(client).fine
    assert "paused" in told(client).words
