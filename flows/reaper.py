"""The scheduled reaper. The bridge does the same more often; this one works where no bridge does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import runtime
from tasks.flow_runs import FlowRuns
from tasks.reaping import reap


def reaper_flow(open_flow_runs: Callable[[], AbstractContextManager[FlowRuns]]) -> Flow[[], State[None]]:
    """The flow, given a client for Prefect's flow runs, which only `deployments` has."""

    @flow(name="reaper", flow_run_name="reaper", persist_result=False)
    def reaper() -> State[None]:
        """Recovers sessions whose run was lost."""
        with open_flow_runs() as flow_runs:
            report = reap(runtime.engine(), runtime.settings(), flow_runs)
        return Completed(message=str(report))

    return reaper
