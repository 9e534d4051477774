"""Waits until a shared service has no users, then stops it: `warden.py DIRECTORY OWN_LOCK STOP_COMMAND...`.

It is there for users that die without leaving. The standard library alone, and run by its path, so that it costs little
while it waits. OWN_LOCK is the inherited descriptor that says a warden is on duty.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path


def watch(directory: Path, own_lock: int, stop_command: list[str]) -> None:
    """The order of locks is users before start, as everywhere: see `shared_service`."""
    users, start = (os.open(directory / name, os.O_RDWR) for name in ("users.lock", "start.lock"))
    fcntl.flock(users, fcntl.LOCK_EX)
    fcntl.flock(start, fcntl.LOCK_EX)
    started = directory / "started"
    if started.exists():
        subprocess.run(stop_command, cwd="/", stdin=subprocess.DEVNULL, check=True)
        started.unlink()
    # First the own lock: a process that joins as soon as `users` is free must see that no warden is on duty.
    for descriptor in (own_lock, start, users):
        os.close(descriptor)


if __name__ == "__main__":
    os.umask(0o077)
    watch(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
