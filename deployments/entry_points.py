"""Flows that need something of `deployments`, put together here. prefect.yaml names them."""

from deployments.prefect.flow_runs import open_flow_runs
from flows.reaper import reaper_flow

reaper = reaper_flow(open_flow_runs)
