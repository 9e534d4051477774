"""Flows in the test's own process, against our own Prefect server and a real PostgreSQL."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from db.bootstrap import prepare_database
from deployments.local.prefect_environment import PrefectApi, client_environment
from deployments.local.prefect_server import PrefectService
from tasks import runtime
from tests import servers

HOME = servers.home()

assert "prefect" not in sys.modules, "a module collected before imports Prefect, which would read another configuration"
# Prefect reads its configuration when it is imported, so what imports it comes below; where its server is can be told
# later. None of this is to be seen by other tests.
with pytest.MonkeyPatch.context() as environment:
    for name, value in client_environment(HOME, PrefectApi("")).items():
        environment.setenv(name, value)
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

from deployments.prefect.flush import flush_to_server  # noqa: E402
from tests.flow.flows.product import Product  # noqa: E402


@pytest.fixture(scope="package", autouse=True)
def private_files() -> Iterator[None]:
    """As every entry point that runs flows has it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(scope="package")
def prefect_server(prefect_service: PrefectService) -> Iterator[None]:
    api = prefect_service.api
    with temporary_settings(
        {
            PREFECT_API_URL: api.url,
            PREFECT_API_AUTH_STRING: api.auth_string,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
    ):
        yield
        flush_to_server()


@pytest.fixture
def product(engine: Engine, prefect_server: None, monkeypatch: pytest.MonkeyPatch, taxonomy: str) -> Iterator[Product]:
    """The product on a database of the test's own, quick to notice what happens to a session."""
    prepare_database(engine)
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("VCFOLIO_HEARTBEAT_S", "0.2")
    monkeypatch.setenv("VCFOLIO_OWNERSHIP_CHECK_S", "0.05")
    yield Product(engine, taxonomy)
    runtime.engine().dispose()
    runtime._engine.cache_clear()
