"""PostgreSQL as a shared service: does it answer, start it, stop it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg

from core.errors import Unavailable
from core.own_files import read_own, remove_within, write_own
from deployments.local.embedded.account import server_account
from deployments.local.embedded.cluster import (
    ENVIRONMENT,
    SUPERUSER,
    check_version,
    create_cluster,
    take_over_files,
)
from deployments.local.embedded.detached import launch_detached
from deployments.local.embedded.installation import find_programs, major_version, programs_within_reach
from deployments.local.embedded.locks import EXCLUSIVE, is_held, open_lock, try_lock
from deployments.local.embedded.postmaster import POLL_S, ServerFiles, kill_leftovers, stop_server

START_S = 120.0
LAUNCHES = 4
CONNECT_TIMEOUT_S = 5
_STATUS_LINE = 7  # of postmaster.pid; source: PostgreSQL's src/include/utils/pidfile.h
LOG_TAIL_LINES = 25
SCRAM_ALONE = "require_auth=scram-sha-256"
"""For libpq: a server of somebody else's on our port could else ask for the password itself."""
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresService:
    """The server of one directory.

    settings: further server settings, e.g. fsync=off for tests. They take effect when this process starts the server.
    """

    def __init__(self, files: ServerFiles, bin_dir: Path | None, settings: Mapping[str, str]) -> None:
        self._files = files
        self._bin_dir = bin_dir
        self._settings = settings

    @property
    def stop_command(self) -> Sequence[str]:
        return (sys.executable, "-P", "-m", "deployments.local.embedded.postmaster", str(self._files.root))

    def running(self) -> bool:
        """A connection with our password is the proof. The pid file alone is none, but spares vain attempts."""
        try:
            pid_file = read_own(self._files.pid_file, also=self._files.cluster_owner).decode(errors="replace")
            if pid_file.splitlines()[_STATUS_LINE].strip() != "ready":
                return False
            with psycopg.connect(self.conninfo("postgres"), connect_timeout=CONNECT_TIMEOUT_S):
                return True
        except (FileNotFoundError, IndexError, psycopg.OperationalError):
            return False

    def conninfo(self, database: str) -> str:
        """For libpq. Raises FileNotFoundError before the first start."""
        return f"postgresql://{self.address(SUPERUSER)}/{database}?{SCRAM_ALONE}"

    def address(self, role: str) -> str:
        """`user:password@host:port`. The password has no character that a URL would have to escape."""
        return f"{role}:{self._own(self._files.password(role), 'password')}@127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self._own(self._files.port, "port"))

    def _own(self, place: Path, earlier_name: str) -> str:
        """What the file holds. A server that a version before has started may still run, with its files elsewhere."""
        try:
            return read_own(place).decode()
        except FileNotFoundError:
            return read_own(self._files.cluster / earlier_name, also=self._files.cluster_owner).decode()

    def start(self) -> None:
        """Raises Unavailable with the end of the server's log, BadInput for programs that cannot serve these data."""
        deadline = time.monotonic() + START_S
        for launch in range(LAUNCHES):
            lock = self._wait_for_vacancy(deadline)
            if lock is None:
                return
            try:
                self._launch(lock, same_port=launch == 0)
            finally:
                os.close(lock)
            while is_held(self._files.server_lock):
                if self.running():
                    return
                self._pause(deadline)
        raise Unavailable(f"PostgreSQL does not start. The end of {self._files.log}:\n{self._log_tail()}")

    def stop(self) -> None:
        stop_server(self._files)

    def _wait_for_vacancy(self, deadline: float) -> int | None:
        """The held server lock, once no process of an earlier server is left; None if that one answers after all.

        It may be recovering, shutting down, or be orphaned; the process that started it is gone.
        """
        lock = open_lock(self._files.server_lock)
        try:
            while not try_lock(lock, EXCLUSIVE):
                if self.running():
                    os.close(lock)
                    return None
                kill_leftovers(self._files)
                self._pause(deadline)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _launch(self, lock: int, *, same_port: bool) -> None:
        """Starts the server, which inherits the lock, on its last port if that is asked for, so that those who were
        connected before a crash find it again; else on another free one."""
        files = self._files
        account = server_account(files.cluster)
        programs = programs_within_reach(find_programs(self._bin_dir), account, files.root)
        if not files.cluster.exists():
            durable = self._settings.get("fsync") != "off"
            create_cluster(files, programs, account, lock=lock, durable=durable)
        take_over_files(files)
        check_version(files, major_version(programs))
        # Nobody holds the lock but us, so a process with this pid is unrelated, or a zombie.
        remove_within(files.data, files.pid_file.name)
        if not (same_port and files.port.exists()):
            write_own(files.port, str(_free_port()).encode())
        settings = {**SERVER_SETTINGS, "port": str(self.port), **self._settings}
        launch_detached(
            [
                *(str(programs / "postgres"), "-D", str(files.data)),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ],
            log=files.log,
            keep_open=[lock],
            account=account,
            environment=ENVIRONMENT,
        )

    def _pause(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the PostgreSQL server of {self._files.root} lives but does not answer. "
                f"The end of {self._files.log}:\n{self._log_tail()}"
            )
        time.sleep(POLL_S)

    def _log_tail(self) -> str:
        try:
            log = read_own(self._files.log, also=self._files.cluster_owner)
        except FileNotFoundError:
            return "(empty)"
        return "\n".join(log.decode(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def _free_port() -> int:
    """Free now; whether it still is when the server binds it, only the server can tell."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
