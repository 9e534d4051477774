"""Our own Prefect server, shared like the embedded PostgreSQL: the first user starts it, the last one out stops it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from core.errors import Unavailable
from db.embedded.detached import launch_detached
from db.embedded.postgres import EmbeddedPostgres
from db.embedded.shared_service import SharedService
from db.settings import child_environment
from deployments.prefect import server_process
from deployments.prefect.environment import server_environment
from deployments.prefect.server_process import ServerProcess

START_TIMEOUT_S = 180.0
POLL_S = 0.05
LOG_TAIL_LINES = 20


class PrefectService:
    """A Prefect server on 127.0.0.1 with its state in a database of the embedded PostgreSQL."""

    def __init__(self, home: Path, postgres: EmbeddedPostgres, database_url: str) -> None:
        self.directory = home / "prefect"
        self._home = home
        self._postgres = postgres
        self._database_url = database_url

    @property
    def api_url(self) -> str:
        """Raises Unavailable when no server is on record."""
        recorded = ServerProcess.recorded(self.directory)
        if recorded is None:
            raise Unavailable("no Prefect server is running")
        return f"http://127.0.0.1:{recorded.port}/api"

    @property
    def stop_command(self) -> Sequence[str]:
        return [sys.executable, "-m", server_process.__name__, "stop", str(self.directory)]

    def running(self) -> bool:
        """Whether the process lives. It answers some seconds later: `wait_until_healthy`, outside of any lock."""
        return self._process() is not None

    def start(self) -> None:
        """Returns when the process has said where it will listen."""
        self.stop()
        # The server needs PostgreSQL for as long as it lives, also when whoever started it is gone.
        lease = self._postgres.lease_for_child()
        try:
            launch_detached(
                [sys.executable, "-m", server_process.__name__, "serve", str(self.directory), str(_free_port())],
                log=self._log,
                keep_open=[lease],
                environment=child_environment(server_environment(self._home, self._database_url)),
            )
        finally:
            os.close(lease)
        self._wait_for(lambda: self._process() is not None)

    def stop(self) -> None:
        server_process.stop(self.directory)

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def wait_until_healthy(self) -> None:
        """Raises Unavailable with the end of the server's log when it dies or takes too long."""
        self._wait_for(self._healthy, give_up=lambda: self._process() is None)

    def _process(self) -> psutil.Process | None:
        recorded = ServerProcess.recorded(self.directory)
        return recorded.alive() if recorded else None

    def _wait_for(self, reached: Callable[[], bool], give_up: Callable[[], bool] = lambda: False) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not reached():
            if give_up() or time.monotonic() > deadline:
                tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
                raise Unavailable(f"the Prefect server did not start; {self._log} ends with\n{tail}")
            time.sleep(POLL_S)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", timeout=5.0, trust_env=False).is_success
        except (httpx.HTTPError, Unavailable):
            return False


@contextmanager
def own_prefect_server(home: Path, postgres: EmbeddedPostgres, database_url: str) -> Iterator[PrefectService]:
    """A server that lives for as long as the block lasts; it may still be starting when the block begins."""
    service = PrefectService(home, postgres, database_url)
    service.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with SharedService(service.directory, service):
        yield service


def _free_port() -> int:
    """A port that is free now; should another process take it first, the start fails and says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
