"""Our own Prefect server, shared like the embedded PostgreSQL: the first user starts it, the last one out stops it."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from core.errors import Unavailable
from core.own_files import make_private_directory, own_secret, read_own, write_own
from db.settings import child_environment
from deployments.local import prefect_server_process
from deployments.local.embedded.detached import launch_detached
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.embedded.shared_service import SharedService
from deployments.local.prefect_environment import PAGE_FILES, PrefectApi, server_environment
from deployments.local.prefect_server_process import AUTH_FILE, ServerProcess, api_url_at

START_TIMEOUT_S = 180.0
POLL_S = 0.05
LOG_TAIL_LINES = 20


class PrefectService:
    """One use of a Prefect server on 127.0.0.1 with its state in a database of the embedded PostgreSQL.

    `with PrefectService(...) as service:` it may still be starting when the block begins (`wait_until_healthy`).
    """

    def __init__(self, home: Path, postgres: EmbeddedPostgres, database_url: str) -> None:
        self.directory = home / "prefect"
        self._home = home
        self._postgres = postgres
        self._database_url = database_url
        self._shared = SharedService(self.directory, self)

    @property
    def api(self) -> PrefectApi:
        """Raises Unavailable when no server is on record."""
        recorded = ServerProcess.recorded(self.directory)
        if recorded is None:
            raise Unavailable("no Prefect server is running")
        return PrefectApi(recorded.api_url, auth_string(self.directory))

    @property
    def stop_command(self) -> Sequence[str]:
        return [sys.executable, "-m", prefect_server_process.__name__, "stop", str(self.directory)]

    def running(self) -> bool:
        """Whether the process lives. It answers some seconds later: `wait_until_healthy`, outside of any lock."""
        return self._process() is not None

    def start(self) -> None:
        """Returns when the process has said where it will listen."""
        self.stop()
        # The server needs PostgreSQL for as long as it lives, also when the process that started it is gone.
        make_private_directory(self._home / PAGE_FILES)
        lease = self._postgres.lease_for_child()
        port = self._choose_port()
        api = PrefectApi(api_url_at(port), auth_string(self.directory))
        try:
            launch_detached(
                [sys.executable, "-m", prefect_server_process.__name__, "serve", str(self.directory), str(port)],
                log=self._log,
                keep_open=[lease],
                environment=child_environment(server_environment(self._home, self._database_url, api)),
            )
        finally:
            os.close(lease)
        self._wait_for(lambda: self._process() is not None)

    def stop(self) -> None:
        prefect_server_process.stop(self.directory)

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def wait_until_healthy(self) -> None:
        """Raises Unavailable with the end of the server's log when it dies or takes too long."""
        self._wait_for(self._healthy, give_up=lambda: self._process() is None)

    def ensure_running(self) -> bool:
        """Starts the server if it has died since this use of it began. Whether it had."""
        return self._shared.ensure_running()

    def __enter__(self) -> Self:
        make_private_directory(self.directory)
        self._shared.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shared.leave()

    def _choose_port(self) -> int:
        """The last one where it is free, so that clients find the server at the address they know."""
        remembered = self.directory / "port"
        try:
            port = int(read_own(remembered))
            free = _is_free(port)
        except (FileNotFoundError, ValueError):
            free = False
        if not free:
            port = _free_port()
            write_own(remembered, str(port).encode())
        return port

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
            return httpx.get(f"{self.api.url}/health", timeout=5.0, trust_env=False).is_success
        except (httpx.HTTPError, Unavailable):
            return False


def auth_string(directory: Path) -> str:
    """The secret of the server of this directory, made at the first use: `user:password`, as Prefect has it.

    Raises NotOurs where others could have read or written it.
    """
    return own_secret(directory / AUTH_FILE, f"vcfolio:{secrets.token_urlsafe(32)}")


def _free_port() -> int:
    """A port that is free now; should another process take it first, the start fails and says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server itself binds: connections of an earlier one that linger are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True
