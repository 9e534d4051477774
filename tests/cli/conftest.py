"""One home for all commands of a module, so that PostgreSQL and Prefect make their schemas once."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.embedded.locks import exclusively
from tests.cli.command import CommandLine

REQUEST: dict[str, Any] = {
    "fundId": "00000000-0000-4000-8000-000000000001",
    "totalFundSize": 50_000_000,
    "maxLossProbability": 0.45,
    "cvarLimit": 0.9,
    "minExpectedWinners": 0.3,
    "bucketMaxWeight": 0.4,
    "sectorBounds": {"AI": {"max": 0.6}},
    "stageBounds": {"Seed": {"min": 0.1}},
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "Health", "Media"]},
    "scenarioGenConfig": {"scenarioCount": 120},
    "validationScenarios": 500,
    "calibrationVersion": "us_venture_2004_2013",
}


def processes_of(home: Path) -> list[psutil.Process]:
    """Every living process whose command line names the home; what only waits for init to reap it is not one."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if any(str(home) in part for part in process.info["cmdline"] or [])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture(scope="module")
def vcfolio() -> Iterator[CommandLine]:
    home = Path(tempfile.mkdtemp(prefix="vcfolio-cli-"))
    # As root the server runs as another account, which must be able to enter.
    home.chmod(0o755)
    yield CommandLine(home)
    services = [service for service in (home / "postgres", home / "prefect") if (service / "warden.lock").exists()]
    with ExitStack() as wardens:
        for service in services:
            wardens.enter_context(exclusively(service / "warden.lock"))
        # Nothing may stay; what is on its way out gets the time for it.
        _, left = psutil.wait_procs(processes_of(home), timeout=30)
        shutil.rmtree(home)
    assert left == []


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """A request file: the module's request with `changes`; a change to None leaves the field out."""

    def written(**changes: Any) -> str:
        document = {name: value for name, value in (REQUEST | changes).items() if value is not None}
        path = tmp_path / "request.json"
        path.write_text(json.dumps(document))
        return str(path)

    return written
