"""The whole stack as `vcfolio up` starts it: real PostgreSQL, Prefect server, workers and bridge, shared by the tests.

Leases and looks are short, so that a test of a lost worker waits for seconds. What a test does to the stack it must
leave whole for the next one.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.engine import make_engine
from deployments.local.embedded.postgres import EmbeddedPostgres
from tests.command_line import CommandLine
from tests.system.stack.running import PATIENCE_S, Stack
from tests.waiting import eventually

QUICK = {
    "VCFOLIO_LEASE_S": "5",
    "VCFOLIO_GENERATION_LEASE_S": "5",
    "VCFOLIO_HEARTBEAT_S": "1",
    "VCFOLIO_OWNERSHIP_CHECK_S": "0.2",
    "VCFOLIO_REAP_EVERY_S": "1",
    # Longer than a worker needs for a run that does not end by itself.
    "VCFOLIO_CANCEL_PATIENCE_S": "10",
    # Longer than the bridge waits for Prefect: a claim that is being worked on must not be taken back.
    "VCFOLIO_STUCK_AFTER_S": "25",
    "VCFOLIO_MAX_GENERATIONS_PER_MINUTE": "1000",
    "PREFECT_CLIENT_MAX_RETRIES": "1",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    directory = Path(tempfile.mkdtemp(prefix="vcfolio-stack-"))
    directory.chmod(0o755)
    (directory / "elsewhere").mkdir()
    command = CommandLine(directory / "home", directory / "elsewhere")
    metrics = free_port()
    log = (directory / "up.log").open("w+")
    process = command.start(
        "up", **QUICK, VCFOLIO_METRICS_PORT=str(metrics), VCFOLIO_API_PORT=str(free_port()), output=log
    )
    try:
        ready = "ready: worker, maintenance, bridge"
        assert eventually(lambda: ready in Path(log.name).read_text(), PATIENCE_S), Path(log.name).read_text()
        with ExitStack() as uses:
            postgres = uses.enter_context(EmbeddedPostgres(command.home))
            engine = make_engine(postgres.url("vcfolio"))
            uses.callback(engine.dispose)
            yield Stack(command, process, engine, postgres, Path(log.name), metrics)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0, Path(log.name).read_text()
        assert Path(log.name).read_text().rstrip().endswith("stopped")
        assert eventually(lambda: not command.processes()), command.processes()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        log.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def ask(stack: Stack, taxonomy: str) -> Callable[..., str]:
    """Stores a request with `changes` to SMALL and returns its session's id."""
    return lambda **changes: stack.request(**{"taxonomyVersion": taxonomy} | changes)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test asked for has ended when it is over, and the stack is still there."""
    yield
    if "stack" in request.fixturenames:
        stack: Stack = request.getfixturevalue("stack")
        stack.end_all()
        assert stack.process.poll() is None


@pytest.fixture
def made_whole(stack: Stack) -> Iterator[None]:
    """For tests that lay hands on the stack's processes: the next one finds it ready."""
    yield
    assert eventually(lambda: _ready(stack)), stack.log.read_text()


def _ready(stack: Stack) -> bool:
    process = stack.command.start("doctor", "--ready", **QUICK)
    try:
        process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode == 0
