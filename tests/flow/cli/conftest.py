"""The command line in this process, on the servers that all tests share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from db.engine import make_engine
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.prefect_server import PrefectService
from tests import servers
from tests.command_line import CommandLineInProcess
from tests.request_files import write_request

pytest.register_assert_rewrite("tests.flow.cli.recalculation")


@pytest.fixture(scope="package")
def vcfolio(
    prefect_service: PrefectService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommandLineInProcess]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    yield CommandLineInProcess(servers.home(), elsewhere, prefect_service.api)
    assert list(elsewhere.iterdir()) == []


@pytest.fixture(scope="package")
def answer(vcfolio: CommandLineInProcess, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `vcfolio run --json` answers to the common request."""
    return json.loads(vcfolio.call("run", write_request(tmp_path_factory.mktemp("first"), {}), "--json")[0])


@pytest.fixture(scope="package")
def database(postgres: EmbeddedPostgres, vcfolio: CommandLineInProcess) -> Iterator[Engine]:
    """The database of the commands."""
    vcfolio.call("fund", "list")  # makes it
    engine = make_engine(postgres.url("vcfolio"))
    yield engine
    engine.dispose()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """A request file: the common request with `changes`."""
    return lambda **changes: write_request(tmp_path, changes)
