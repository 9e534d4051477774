"""What the forked process does. Loaded into the clean process that all of them are forked from: nothing here may start
a thread or open a connection while it is imported."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from uuid import UUID

import prefect.engine
import prefect.flow_engine
import prefect.task_engine  # noqa: F401 - so that it need not be loaded after the fork
from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import SettingsContext, get_settings_context
from prefect.engine import handle_engine_signals
from prefect.flow_engine import load_flow, load_flow_run, run_flow
from prefect.logging.configuration import setup_logging
from prefect.settings import Settings as PrefectSettings

import flows.optimize_session  # noqa: F401 - so that it need not be loaded after the fork
from db.fault_points import arm
from db.settings import export, load_settings
from deployments.logs import configure_logs
from flows.request_optimization import request_optimization

logger = logging.getLogger(__name__)

OUR_FLOWS = "flows"


def execute(flow_run_id: UUID, environment: Mapping[str, str], entrypoint: str | None) -> None:
    """Runs the flow run. environment: as the worker configured it. entrypoint: of its deployment."""
    export(environment)
    context = get_settings_context()
    with SettingsContext(profile=context.profile, settings=PrefectSettings()):
        setup_logging()
        configure_logs("worker")
        arm(load_settings().fault)
        with handle_engine_signals(flow_run_id):
            flow_run = load_flow_run(flow_run_id)
            flow = _flow_of(flow_run, entrypoint)
            configure_logs("worker", **_session_fields(flow, flow_run))
            run_flow(flow, flow_run=flow_run)


def _session_fields(flow: Flow[..., object], flow_run: FlowRun) -> dict[str, object]:
    """So that what Prefect logs of the run names its session, too. One asked for in the form bears its run's id."""
    if flow.name == request_optimization.name:
        return {"session_id": str(flow_run.id)}
    return {name: flow_run.parameters[name] for name in ("session_id", "epoch") if name in flow_run.parameters}


def _flow_of(flow_run: FlowRun, entrypoint: str | None) -> Flow[..., object]:
    """One of ours is loaded already; any other comes from where its deployment says."""
    module, _, name = (entrypoint or "").rpartition(".")
    if module.partition(".")[0] == OUR_FLOWS:
        loaded = getattr(importlib.import_module(module), name, None)
        if isinstance(loaded, Flow):
            return loaded
    return load_flow(flow_run)
