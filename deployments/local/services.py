"""What a command needs to stand on: the database, and a Prefect server for those that run flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine

from db.bootstrap import prepare_database
from db.engine import make_engine
from db.settings import Settings, export
from deployments.local.prefect_environment import PrefectApi, configure_client
from deployments.local.server import open_postgres


@dataclass(frozen=True, slots=True)
class FlowServices:
    """engine: of vcfolio's database. wait_for_prefect: returns when Prefect's server answers; raises Unavailable.

    guards: of the servers that are our own, by name; each starts its server if that has died, and says whether it had.
    """

    engine: Engine
    wait_for_prefect: Callable[[], None]
    guards: Mapping[str, Callable[[], bool]]


@contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """A migrated database, for as long as the block lasts."""
    with open_postgres(settings) as server, _prepared(server.url) as engine:
        yield engine


@contextmanager
def flow_services(settings: Settings) -> Iterator[FlowServices]:
    """The database, and Prefect configured to use the server of PREFECT_API_URL or one of our own.

    Import what imports Prefect only inside the block: it reads its configuration when it is imported. Our own server
    may still be starting then; there is work to do meanwhile.
    """
    with open_postgres(settings) as server, _prefect(settings) as prefect:
        export({"DATABASE_URL": server.url})
        configure_client(settings.home, prefect.api)
        guards = dict(prefect.guards)
        if server.embedded is not None:
            guards = {"PostgreSQL": server.embedded.ensure_running} | guards
        with _prepared(server.url) as engine:
            yield FlowServices(engine, prefect.wait, guards)


def configured_api(settings: Settings) -> PrefectApi:
    """The server of PREFECT_API_URL. Its secret is that of PREFECT_API_AUTH_STRING; the home's own server needs none
    said."""
    assert settings.prefect_api_url is not None
    secret = settings.prefect_api_auth_string
    if secret is not None:
        return PrefectApi(settings.prefect_api_url, secret.get_secret_value())
    own = own_api(settings)
    return (
        own
        if own is not None and own.url == settings.prefect_api_url.rstrip("/")
        else PrefectApi(settings.prefect_api_url)
    )


def own_api(settings: Settings) -> PrefectApi | None:
    """The Prefect server of this home, where one runs."""
    from deployments.local.prefect_server_process import ServerProcess  # noqa: PLC0415

    directory = settings.home / "prefect"
    recorded = ServerProcess.recorded(directory)
    if recorded is None or not recorded.alive():
        return None
    from deployments.local.prefect_server import auth_string  # noqa: PLC0415 - needs fcntl, not on Windows

    return PrefectApi(recorded.api_url, auth_string(directory))


@dataclass(frozen=True, slots=True)
class _Prefect:
    api: PrefectApi
    wait: Callable[[], None]
    guards: Mapping[str, Callable[[], bool]]


@contextmanager
def _prepared(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    try:
        prepare_database(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _prefect(settings: Settings) -> Iterator[_Prefect]:
    if settings.prefect_api_url is not None:
        from deployments.prefect.reach import require_answer  # noqa: PLC0415 - not for those who need no Prefect

        yield _Prefect(configured_api(settings), partial(require_answer, settings.prefect_api_url), {})
        return
    # Our own server keeps its state in the embedded PostgreSQL, wherever vcfolio's own database is.
    with open_postgres(settings.model_copy(update={"database_url": None})) as server:
        database_url = server.prefect_database_url()
        assert server.embedded is not None
        assert database_url is not None
        from deployments.local.prefect_server import PrefectService  # noqa: PLC0415 - needs fcntl, not on Windows

        with PrefectService(settings.home, server.embedded, database_url) as prefect:
            guards = {"PostgreSQL": server.embedded.ensure_running, "the Prefect server": prefect.ensure_running}
            yield _Prefect(prefect.api, prefect.wait_until_healthy, guards)
