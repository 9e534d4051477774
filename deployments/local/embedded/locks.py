"""Advisory file locks (flock). The kernel releases them when their holder dies, whatever it died of.

A lock belongs to an open file description: opening the file twice in one process gives two independent holders, and a
descriptor handed to a child process keeps the lock until parent and child have both closed it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX


def open_lock(path: Path) -> int:
    """A fresh descriptor on the lock file, not yet locked; closed on exec unless passed on explicitly."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def lock(descriptor: int, kind: int) -> None:
    """Waits for the lock."""
    fcntl.flock(descriptor, kind)


def try_lock(descriptor: int, kind: int) -> bool:
    """Takes the lock if it is free. When it is not, a lock held before on this descriptor is gone all the same."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Gives the lock up, for copies of the descriptor in forked children too."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def release(descriptor: int) -> None:
    """Unlocks and closes."""
    unlock(descriptor)
    os.close(descriptor)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Holds the lock for the length of the block."""
    descriptor = open_lock(path)
    try:
        lock(descriptor, EXCLUSIVE)
        yield
    finally:
        release(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock exclusively."""
    descriptor = open_lock(path)
    try:
        return not try_lock(descriptor, SHARED)
    finally:
        release(descriptor)
