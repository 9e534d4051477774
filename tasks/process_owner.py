"""Who holds a lease, in words that another process of the same machine can check."""

from __future__ import annotations

import socket

import psutil


def lease_owner() -> str:
    """This process: host, boot and process with its start, so that a reused pid is not mistaken for it."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{int(psutil.boot_time())}/{process.pid}/{process.create_time():.2f}"


def owner_is_gone(owner: str | None) -> bool:
    """True only when the owner was a process of this machine that surely does not live any more."""
    if owner is None:
        return False
    host, _, rest = owner.partition("/")
    parts = rest.split("/")
    if host != socket.gethostname() or len(parts) != 3 or parts[0] != str(int(psutil.boot_time())):
        return False
    try:
        process = psutil.Process(int(parts[1]))
        same = f"{process.create_time():.2f}" == parts[2]
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
