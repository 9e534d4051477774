"""The process of our own Prefect server: `server_process serve DIRECTORY PORT` and `server_process stop DIRECTORY`.

It says in `DIRECTORY/server.json` who it is and where it listens. Light to import: `stop` is also run by the warden,
when the last user was killed.
"""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from core.own_files import NotOurs, keep_new_files_private, read_own, write_own

if TYPE_CHECKING:
    from starlette.types import ASGIApp

STOP_TIMEOUT_S = 10.0
HOST = "127.0.0.1"
HOSTS = (HOST, "localhost")
"""By which browsers and clients may name the server: a page of elsewhere whose name leads here does not reach it."""
AUTH_FILE = "auth-string"


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """pid and created_at together name a process for good; a pid alone may be somebody else's by now."""

    pid: int
    created_at: float
    port: int

    @property
    def api_url(self) -> str:
        return api_url_at(self.port)

    @classmethod
    def recorded(cls, directory: Path) -> ServerProcess | None:
        """What the last server said of itself; None when there is no such word, or half of one."""
        try:
            return cls(**json.loads(read_own(_record(directory))))
        except (FileNotFoundError, NotOurs, ValueError, TypeError):
            return None

    def alive(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            same = process.create_time() == self.created_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None


def api_url_at(port: int) -> str:
    return f"http://{HOST}:{port}/api"


def serve(directory: Path, port: int) -> None:
    """Runs until it is told to stop."""
    import uvicorn  # noqa: PLC0415 - `stop` need not load it

    # Bound before anybody is told of the port: what answers there is then this process, and no other user's.
    with socket.create_server((HOST, port), backlog=2048) as listening:
        me = psutil.Process()
        write_own(_record(directory), json.dumps(asdict(ServerProcess(me.pid, me.create_time(), port))).encode())
        config = uvicorn.Config(application, factory=True, log_level="warning", timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[listening])


def application() -> ASGIApp:
    """Prefect's own, for requests that name one of HOSTS."""
    from prefect.server.api.server import create_app  # noqa: PLC0415
    from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: PLC0415

    return TrustedHostMiddleware(create_app(), allowed_hosts=HOSTS, www_redirect=False)


def stop(directory: Path) -> None:
    """Ends the recorded server, and returns when it has ended. Does nothing when there is none."""
    recorded = ServerProcess.recorded(directory)
    process = recorded.alive() if recorded else None
    if process is not None:
        try:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        except psutil.NoSuchProcess:
            pass
    _record(directory).unlink(missing_ok=True)


def _record(directory: Path) -> Path:
    return directory / "server.json"


if __name__ == "__main__":
    keep_new_files_private()
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        stop(Path(sys.argv[2]))
