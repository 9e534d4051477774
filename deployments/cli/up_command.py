"""`vcfolio up`: the whole stack, or some of its services, until Ctrl-C."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated

import typer
from sqlalchemy import Engine

from api.addresses import own_address, page_address
from core.errors import BadInput, Unavailable, VcfolioError
from db.engine import transaction
from db.queue import queue_figures
from db.settings import export, load_settings
from deployments.cli import terminal
from deployments.cli.login_command import login_link
from deployments.cli.stopping import stop_signal
from deployments.local.services import FlowServices, flow_services
from deployments.local.supervisor import Service, Supervisor

SERVICES: dict[str, Sequence[str]] = {
    "worker": ("worker",),
    "maintenance": ("worker", "--scheduled"),
    "bridge": ("bridge",),
    "api": ("api",),
}
"""Started in this order, and stopped in reverse order: what creates work stops first."""

READY_POLL_S = 0.5
SERVER_POLL_S = 1.0
READY_WARNING_S = 180.0


def up(
    only: Annotated[
        str | None,
        typer.Option(help="Services to start, comma-separated: worker, maintenance, bridge, api; else all."),
    ] = None,
) -> None:
    """Raises BadInput for an unknown service, Unavailable where a server cannot be reached or started."""
    names = _services(only)
    settings = load_settings()
    if "api" in names:
        export({"VCFOLIO_PAGE_URL": page_address(settings)})  # so that what is shown in Prefect links to it
    with ExitStack() as stack:
        stopping = stack.enter_context(stop_signal())
        terminal.say("starting PostgreSQL and the Prefect server ...")
        servers = stack.enter_context(flow_services(settings))
        servers.wait_for_prefect()
        if stopping.is_set():
            return
        from deployments.local.registration import ensure_work_pools  # noqa: PLC0415 - once Prefect is configured

        _warn_of_open_prefect()
        ensure_work_pools()
        parent = ("--parent", str(os.getpid()))
        services = [Service(name, (*SERVICES[name], *parent)) for name in names]
        guard = threading.Thread(target=_restart_servers, args=(servers.guards, stopping), name="guard", daemon=True)
        guard.start()
        announcer = threading.Thread(
            target=_announce_when_ready, args=(servers, names, stopping), name="ready", daemon=True
        )
        announcer.start()
        Supervisor(services, terminal.say).run(stopping)
        terminal.say("all services have stopped; stopping the servers ...")
        announcer.join()
        guard.join()
    terminal.say("stopped")


def _warn_of_open_prefect() -> None:
    from deployments.prefect.reach import OPEN_TO_STRANGERS, lets_strangers_in  # noqa: PLC0415

    url = load_settings().prefect_api_url
    assert url is not None
    if lets_strangers_in(url):
        terminal.say(f"warning: the Prefect server of {url} {OPEN_TO_STRANGERS}")


def _services(only: str | None) -> list[str]:
    if only is None:
        return list(SERVICES)
    chosen = [name.strip() for name in only.split(",")]
    for name in chosen:
        if name not in SERVICES:
            raise BadInput.of("--only", name, f"must be among {', '.join(SERVICES)}")
    return [name for name in SERVICES if name in chosen]


def _restart_servers(guards: Mapping[str, Callable[[], bool]], stopping: threading.Event) -> None:
    """Restarts those of our own servers that have died."""
    while not stopping.wait(SERVER_POLL_S):
        for name, ensure_running in guards.items():
            try:
                if ensure_running():
                    terminal.say(f"{name} died and is restarted")
            except VcfolioError as error:
                terminal.say(f"{name} does not start: {error}; it will be tried again")


def _announce_when_ready(servers: FlowServices, names: Sequence[str], stopping: threading.Event) -> None:
    """Registers the deployments while the services start, waits until all are ready, and prints their addresses."""
    from deployments.local.registration import register_deployments  # noqa: PLC0415

    try:
        register_deployments()
    except VcfolioError as error:
        terminal.say_error(error)
        return
    if not _wait_until(lambda: _all_ready(servers.engine, names), stopping):
        return
    settings = load_settings()
    assert settings.prefect_api_url is not None
    if "api" in names:
        terminal.say(f"API                  {own_address(settings)}/api/openapi.json")
        terminal.say(f"vcfolio's page       {login_link(servers.engine, settings)}")
        terminal.say(f"  this link logs in once, within {settings.login_link_minutes:g} minutes; then: `vcfolio login`")
    terminal.say(f"Prefect's page       {settings.prefect_api_url.removesuffix('/api')}")
    if "the Prefect server" in servers.guards:
        terminal.say("  `vcfolio login --prefect` prints the password that it asks for")
    terminal.say(f"Prefect's API        {settings.prefect_api_url}")
    terminal.say(f"database             {_place(servers.engine)}")
    if settings.metrics_port is not None and "bridge" in names:
        terminal.say(f"metrics              http://127.0.0.1:{settings.metrics_port}/metrics")
    terminal.say(f"ready: {', '.join(names)}. Submit with `vcfolio request REQUEST.json`; Ctrl-C stops everything.")


def _wait_until(condition: Callable[[], bool], stopping: threading.Event) -> bool:
    waited_s = 0.0
    while not stopping.wait(READY_POLL_S):
        try:
            if condition():
                return True
        except Unavailable as error:
            terminal.say(f"not ready yet: {error}")
        waited_s += READY_POLL_S
        if waited_s == READY_WARNING_S:
            terminal.say("some services are not ready yet; `vcfolio doctor` says which")
    return False


def _all_ready(engine: Engine, names: Sequence[str]) -> bool:
    import httpx  # noqa: PLC0415
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    from deployments.bridge.name import BRIDGE  # noqa: PLC0415
    from deployments.local.registration import MAINTENANCE_POOL, SESSIONS_POOL, online_workers  # noqa: PLC0415

    try:
        with get_client(sync_client=True) as client:
            if "worker" in names and not online_workers(client, SESSIONS_POOL):
                return False
            if "maintenance" in names and not online_workers(client, MAINTENANCE_POOL):
                return False
    except httpx.HTTPError as error:
        raise Unavailable(f"Prefect does not answer: {error}") from error
    if "api" in names and not _api_ready():
        return False
    with transaction(engine) as conn:
        return "bridge" not in names or queue_figures(conn, BRIDGE).bridges > 0


def _api_ready() -> bool:
    import httpx  # noqa: PLC0415

    try:
        return httpx.get(f"{own_address(load_settings())}/ready", timeout=READY_POLL_S).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _place(engine: Engine) -> str:
    return engine.url.set(password=None, drivername="postgresql", query={}).render_as_string()
