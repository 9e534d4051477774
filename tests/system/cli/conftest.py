"""Real processes: on the servers that all tests share, and on a home of their own where the servers are the point."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from db.engine import make_engine
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.prefect_server import PrefectService
from tests import servers
from tests.command_line import CommandLine, CommandLineInProcess
from tests.request_files import write_request
from tests.system.cli.caught_runs import caught  # noqa: F401 - a fixture
from tests.waiting import eventually


@dataclass(frozen=True)
class FirstRun:
    """What the first command of all said, and which processes there were when it had ended."""

    output: str
    notes: str
    left_behind: list[psutil.Process]


@pytest.fixture(scope="package")
def open_directory() -> Iterator[Path]:
    """As root, PostgreSQL runs as another account, which must be able to enter, unlike pytest's own directories."""
    directory = Path(tempfile.mkdtemp(prefix="vcfolio-cli-"))
    directory.chmod(0o755)
    (directory / "elsewhere").mkdir()
    yield directory
    assert list((directory / "elsewhere").iterdir()) == []
    shutil.rmtree(directory)


@pytest.fixture(scope="package")
def unserved(open_directory: Path) -> CommandLine:
    """A home of its own, whose servers live for as long as a command."""
    return CommandLine(open_directory / "home", open_directory / "elsewhere")


@pytest.fixture(scope="package")
def first_run(unserved: CommandLine, open_directory: Path) -> FirstRun:
    """A run on a home that does not exist yet."""
    output, notes = unserved.call("run", write_request(open_directory, {}), "--json")
    left_behind = [] if eventually(lambda: not unserved.processes()) else unserved.processes()
    return FirstRun(output, notes, left_behind)


@pytest.fixture(scope="package")
def alone(unserved: CommandLine, first_run: FirstRun) -> CommandLine:
    """A home of its own that has been used before."""
    return unserved


@pytest.fixture(scope="package")
def processes(prefect_service: PrefectService, open_directory: Path) -> CommandLine:
    """Processes on the servers that all tests share."""
    return CommandLine(servers.home(), open_directory / "elsewhere")


@pytest.fixture(scope="package")
def vcfolio(prefect_service: PrefectService, open_directory: Path) -> CommandLineInProcess:
    """The same home, in this process."""
    return CommandLineInProcess(servers.home(), open_directory / "elsewhere", prefect_service.api)


@pytest.fixture(scope="package")
def database(postgres: EmbeddedPostgres, vcfolio: CommandLineInProcess) -> Iterator[Engine]:
    """The database of the shared home."""
    vcfolio.call("fund", "list")  # makes it
    engine = make_engine(postgres.url("vcfolio"))
    yield engine
    engine.dispose()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """A request file: the common request with `changes`."""
    return lambda **changes: write_request(tmp_path, changes)
