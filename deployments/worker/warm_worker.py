"""A Prefect worker of type `vcfolio-warm`: starts a flow run in about a second, and stops one within two.

The forkserver is a small process that has loaded the flows and never runs one: each run is a fork of it. Prefect's
worker itself has threads, which no fork survives, so it must not be what is forked.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from functools import partial
from multiprocessing.context import ForkServerProcess
from typing import Any
from uuid import UUID

import anyio
import anyio.abc
import anyio.to_thread
import psutil
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import InfrastructureNotFound, ObjectNotFound
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult
from pydantic import PrivateAttr
from sqlalchemy import Engine

from core.errors import Unavailable
from core.own_files import keep_new_files_private
from db.audit import PREFECT, Actor
from db.engine import make_engine, transaction
from db.requests import cancel_session
from db.settings import load_settings
from tasks.cancelling import CANCELLED_IN_PREFECT

logger = logging.getLogger(__name__)

WORKER_TYPE = "vcfolio-warm"

LOOK_S = 0.25
CANCEL_POLL_S = 1.0
OWN_END_S = 3.0
"""A run whose session was cancelled ends by itself; after so long it is terminated, and once more later, killed."""

_forking = multiprocessing.get_context("forkserver")
# One that cannot be imported is passed over: the second is where Numba is missing.
_forking.set_forkserver_preload(["deployments.worker.child", "deployments.worker.first_session"])


class WarmConfiguration(BaseJobConfiguration):
    """The base's; `command` is ignored, since nothing is executed."""

    _entrypoint: str | None = PrivateAttr(default=None)

    def prepare_for_flow_run(self, flow_run: FlowRun, deployment: Any = None, *others: Any, **named: Any) -> None:
        super().prepare_for_flow_run(flow_run, deployment, *others, **named)
        self._entrypoint = getattr(deployment, "entrypoint", None)

    @property
    def entrypoint(self) -> str | None:
        return self._entrypoint


class WarmVariables(BaseVariables):
    """The base's."""


class WarmResult(BaseWorkerResult):
    """status_code: the process's exit code; 0 for a run that was cancelled."""


class WarmWorker(BaseWorker[WarmConfiguration, WarmVariables, WarmResult]):
    """Runs flows in processes forked from an interpreter that has loaded them. Cancels their sessions with them."""

    type = WORKER_TYPE
    job_configuration = WarmConfiguration
    job_configuration_variables = WarmVariables
    _description = "Runs vcfolio's flows in processes forked from an interpreter that has loaded them already."
    _display_name = "vcfolio, warm"
    _documentation_url = ""
    _logo_url = ""

    async def setup(self) -> None:
        keep_new_files_private()  # also where Prefect's own command starts it
        await anyio.to_thread.run_sync(_warm_up)
        await super().setup()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: WarmConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> WarmResult:
        from deployments.worker.child import execute  # noqa: PLC0415 - the flows, which the worker itself need not load

        environment = {name: value for name, value in configuration.env.items() if value is not None}
        process = _forking.Process(
            target=execute, args=(flow_run.id, environment, configuration.entrypoint), name=f"flow-run-{flow_run.id}"
        )
        await anyio.to_thread.run_sync(process.start)
        assert process.pid is not None
        if task_status is not None:
            task_status.started(process.pid)
        try:
            cancelled = await self._watch(process, flow_run)
        finally:
            if process.is_alive():
                process.terminate()
        if cancelled:
            await self._mark_flow_run_as_cancelled(flow_run, state_updates={"message": "cancelled"})
        code = 0 if cancelled else process.exitcode
        return WarmResult(status_code=-1 if code is None else code, identifier=str(process.pid))

    async def kill_infrastructure(
        self,
        infrastructure_pid: str,
        configuration: WarmConfiguration,  # noqa: ARG002 - the base's signature
        grace_seconds: int = 30,
    ) -> None:
        """For a run that is cancelled before its flow has begun; see `BaseWorker`."""
        try:
            process = psutil.Process(int(infrastructure_pid))
            process.terminate()
            await anyio.to_thread.run_sync(partial(process.wait, grace_seconds))
        except psutil.TimeoutExpired:
            process.kill()
        except psutil.NoSuchProcess:
            raise InfrastructureNotFound(f"process {infrastructure_pid} is gone") from None

    async def _watch(self, process: ForkServerProcess, flow_run: FlowRun) -> bool:
        """Until the process has ended. Whether that was because the run was cancelled in Prefect."""
        looks = 0
        while not await anyio.to_thread.run_sync(partial(_ended, process, LOOK_S), abandon_on_cancel=True):
            looks += 1
            if looks % round(CANCEL_POLL_S / LOOK_S) == 0 and await self._is_cancelling(flow_run):
                await anyio.to_thread.run_sync(partial(_cancel_session, _session_of(flow_run)))
                await anyio.to_thread.run_sync(partial(_end, process))
                return True
        return False

    async def _is_cancelling(self, flow_run: FlowRun) -> bool:
        """A server that does not answer now is asked again soon."""
        try:
            state = (await self.client.read_flow_run(flow_run.id)).state
        except ObjectNotFound:
            return False
        except Exception as error:
            logger.warning("flow run %s: Prefect does not say whether it is cancelled: %s", flow_run.id, error)
            return False
        return state is not None and state.is_cancelling()


def _warm_up() -> None:
    """Starts the forkserver and has it load everything, so that the first run is as quick as the others."""
    process = _forking.Process(target=os.getpid)
    process.start()
    process.join()


def _ended(process: ForkServerProcess, timeout_s: float) -> bool:
    process.join(timeout_s)
    return process.exitcode is not None


def _end(process: ForkServerProcess) -> None:
    """The run sees within a second that its session is over, and ends; if it does not, it is made to."""
    if _ended(process, OWN_END_S):
        return
    process.terminate()
    if _ended(process, OWN_END_S):
        return
    process.kill()
    process.join()


def _session_of(flow_run: FlowRun) -> UUID:
    """Of the parameters; a run from the form has none, and its session bears its own id."""
    return UUID(str((flow_run.parameters or {}).get("session_id", flow_run.id)))


def _cancel_session(session_id: UUID) -> None:
    """A session that has ended keeps its end. Without a database the run is stopped all the same; the reaper asks."""
    engine = _engine()
    try:
        with transaction(engine) as conn:
            cancel_session(conn, session_id, CANCELLED_IN_PREFECT, Actor(None, PREFECT))
    except Unavailable as error:
        fields = {"session_id": str(session_id), "stage": "cancel"}
        logger.warning("session %s cannot be cancelled now: %s", session_id, error, extra=fields)
    finally:
        engine.dispose()


def _engine() -> Engine:
    url = load_settings().database_url
    assert url is not None, "the worker's command has seen to it"
    return make_engine(url, max_connections=1)
