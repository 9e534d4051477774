"""One home for all commands. PostgreSQL and Prefect make their schemas once, and stay up while tests need them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine

from db.engine import make_engine
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.prefect_server import PrefectService
from tests.system.cli.command import CommandLine
from tests.waiting import eventually

pytest.register_assert_rewrite("tests.system.cli.recalculation")


REQUEST: dict[str, Any] = {
    "fundId": "00000000-0000-4000-8000-000000000001",
    "totalFundSize": 50_000_000.37,
    "maxLossProbability": 0.45,
    "cvarLimit": 0.9,
    # More than there can be, so that this limit gives way.
    "minExpectedWinners": 40,
    "bucketMaxWeight": 0.4,
    "sectorBounds": {"AI": {"max": 0.6}, "Health": {"min": 0.05}},
    "stageBounds": {"Seed": {"min": 0.1, "max": 0.7}},
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "Health", "Media"]},
    # The worst 5% are six and a half scenarios.
    "scenarioGenConfig": {"scenarioCount": 130},
    "validationScenarios": 500,
    "calibrationVersion": "us_venture_2004_2013_v2",
}


@dataclass(frozen=True)
class FirstRun:
    """What the first command of all said, and which processes there were when it had ended."""

    output: str
    notes: str
    left_behind: list[psutil.Process]
    home_as_left: Path


def write_request(directory: Path, changes: dict[str, Any]) -> str:
    """REQUEST with `changes`; a change to None leaves the field out."""
    document = {name: value for name, value in (REQUEST | changes).items() if value is not None}
    path = directory / "request.json"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture(scope="package")
def open_directory() -> Iterator[Path]:
    """As root, PostgreSQL runs as another account, which must be able to enter, unlike pytest's own directories."""
    directory = Path(tempfile.mkdtemp(prefix="vcfolio-cli-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="package")
def unserved(open_directory: Path) -> Iterator[CommandLine]:
    """The command line with a home whose servers live for as long as a command."""
    elsewhere = open_directory / "elsewhere"
    elsewhere.mkdir()
    yield CommandLine(open_directory / "home", elsewhere)
    assert list(elsewhere.iterdir()) == []


@pytest.fixture(scope="package")
def first_run(unserved: CommandLine, open_directory: Path) -> FirstRun:
    """A run on a home that does not exist yet."""
    output, notes = unserved.call("run", write_request(open_directory, {}), "--json")
    left_behind = [] if eventually(lambda: not unserved.processes()) else unserved.processes()
    copy = open_directory / "copy"
    subprocess.run(["cp", "-a", str(unserved.home), str(copy)], check=True)
    return FirstRun(output, notes, left_behind, copy)


@pytest.fixture(scope="package")
def alone(unserved: CommandLine, first_run: FirstRun) -> CommandLine:
    """The command line with a home that has been used before, whose servers live for as long as a command."""
    return CommandLine(first_run.home_as_left, unserved.elsewhere)


@pytest.fixture(scope="package")
def database(unserved: CommandLine, first_run: FirstRun) -> Iterator[Engine]:
    """The database of `vcfolio`, with both servers up."""
    with ExitStack() as servers:
        postgres = servers.enter_context(EmbeddedPostgres(unserved.home))
        address = postgres.url("prefect", driver="asyncpg")
        servers.enter_context(PrefectService(unserved.home, postgres, address)).wait_until_healthy()
        engine = make_engine(postgres.url("vcfolio"))
        yield engine
        engine.dispose()
    assert eventually(lambda: not unserved.processes())


@pytest.fixture
def vcfolio(unserved: CommandLine, database: Engine) -> CommandLine:
    """The command line with servers that are up."""
    return unserved


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """A request file: the common request with `changes`."""
    return lambda **changes: write_request(tmp_path, changes)
