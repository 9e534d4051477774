"""The process of our own Prefect server: `server_process serve DIRECTORY PORT` and `server_process stop DIRECTORY`.

It says in `DIRECTORY/server.json` who it is and where it listens. Light to import: `stop` is also run by the warden,
when the last user was killed.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """pid and created_at together name a process for good; a pid alone may be somebody else's by now."""

    pid: int
    created_at: float
    port: int

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @classmethod
    def recorded(cls, directory: Path) -> ServerProcess | None:
        """What the last server said of itself; None when there is no such word, or half of one."""
        try:
            return cls(**json.loads(_record(directory).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def alive(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            same = process.create_time() == self.created_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None


def serve(directory: Path, port: int) -> None:
    """Runs until it is told to stop."""
    import uvicorn  # noqa: PLC0415 - `stop` need not load it

    me = psutil.Process()
    record = _record(directory)
    draft = record.with_suffix(f".{me.pid}")
    draft.write_text(json.dumps(asdict(ServerProcess(me.pid, me.create_time(), port))))
    draft.replace(record)
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


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
    os.umask(0o077)
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        stop(Path(sys.argv[2]))
