"""The server's processes, as the operating system sees them: finding and stopping them.

Whether any of them lives is not guessed from a pid file: each inherits the descriptor that holds `server.lock`, from
before the first one starts until the last one has ended. A zombie holds no descriptor, and an unrelated process with
the same pid does not hold this one.

`python -m deployments.local.embedded.postmaster ROOT` stops the server; it imports little, since the warden calls it.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.errors import Unavailable
from core.own_files import keep_new_files_private
from deployments.local.embedded.locks import is_held

POLL_S = 0.05
FAST_SHUTDOWN_S = 30.0
IMMEDIATE_SHUTDOWN_S = 10.0


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where the embedded server keeps what is its own. `cluster` appears by one rename, when it is complete.

    As root, `cluster` and all within belong to the account that the server runs as, which may put links there. So what
    we write ourselves is beside it, in `root`, which is ours.
    """

    root: Path

    @property
    def server_lock(self) -> Path:
        return self.root / "server.lock"

    @property
    def cluster(self) -> Path:
        return self.root / "cluster"

    @property
    def unfinished_cluster(self) -> Path:
        return self.root / "cluster.new"

    @property
    def data(self) -> Path:
        return self.cluster / "data"

    def password(self, role: str) -> Path:
        return self.root / f"password-{role}"

    @property
    def port(self) -> Path:
        return self.root / "port"

    @property
    def cluster_owner(self) -> tuple[int, ...]:
        """Its uid, whose files are read with care; nothing where there is no cluster yet."""
        try:
            return (self.cluster.stat().st_uid,)
        except FileNotFoundError:
            return ()

    @property
    def log(self) -> Path:
        return self.cluster / "server.log"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"


@dataclass(frozen=True, slots=True)
class ServerProcesses:
    """postmasters: processes that run, or are about to run, the server itself (there is one).

    others: its children, and what was left behind by a postmaster or an initdb that was killed.
    """

    postmasters: list[psutil.Process]
    others: list[psutil.Process]


def find_processes(files: ServerFiles) -> ServerProcesses:
    found = ServerProcesses([], [])
    for process in psutil.process_iter():
        try:
            if _argument_after(process.cmdline(), "-D") == str(files.data):
                found.postmasters.append(process)
            elif _works_below(process, files.root):
                found.others.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # includes zombies
            continue
    return found


def stop_server(files: ServerFiles) -> None:
    """Ends every process of the server: a fast shutdown, then an immediate one, then SIGKILL. Does nothing without one.

    Raises Unavailable when some are left that cannot be seen from here (another container sharing the directory).
    """
    for stop_signal, patience_s in (
        (signal.SIGINT, FAST_SHUTDOWN_S),
        (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_S),
        (signal.SIGKILL, IMMEDIATE_SHUTDOWN_S),
    ):
        deadline = time.monotonic() + patience_s
        while is_held(files.server_lock):
            if time.monotonic() > deadline:
                break
            # Again and again: one that has just been launched does not listen yet.
            _signal(find_processes(files), stop_signal)
            time.sleep(POLL_S)
        else:
            return
    raise Unavailable(f"the PostgreSQL server of {files.root} does not stop")


def kill_leftovers(files: ServerFiles) -> None:
    """Ends what a killed postmaster or initdb left behind. Leaves a server that has its postmaster alone."""
    processes = find_processes(files)
    if not processes.postmasters:
        _signal(processes, signal.SIGKILL)


def _signal(processes: ServerProcesses, number: signal.Signals) -> None:
    """To the postmaster, which tells its children; to all of them by SIGKILL or where there is no postmaster."""
    targets = list(processes.postmasters)
    if not targets or number == signal.SIGKILL:
        targets += processes.others
        number = signal.SIGKILL
    for process in targets:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _works_below(process: psutil.Process, root: Path) -> bool:
    if process.name() == "initdb":
        target = _argument_after(process.cmdline(), "-D")
        return target is not None and Path(target).is_relative_to(root)
    return process.name() == "postgres" and Path(process.cwd()).is_relative_to(root)


def _argument_after(arguments: list[str], flag: str) -> str | None:
    position = arguments.index(flag) + 1 if flag in arguments else len(arguments)
    return arguments[position] if position < len(arguments) else None


if __name__ == "__main__":
    keep_new_files_private()
    stop_server(ServerFiles(Path(sys.argv[1])))
