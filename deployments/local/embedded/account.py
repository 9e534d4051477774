"""PostgreSQL refuses to run as root, so root starts it under an unprivileged account."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from core.errors import Unavailable

CANDIDATES = ("postgres", "nobody")


class ProcessIdentity(TypedDict, total=False):
    """Keyword arguments of subprocess that make a child run under another account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int

    def as_process_identity(self) -> ProcessIdentity:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, directory: Path) -> bool:
        """Whether the account can traverse to the directory and into it; asked of the kernel, not worked out."""
        probe = ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)]
        identity = self.as_process_identity()
        return subprocess.run(probe, cwd="/", capture_output=True, check=False, **identity).returncode == 0


def server_account(cluster: Path) -> Account | None:
    """Who the server runs as when we are root: the owner of an existing cluster, else the first candidate there is.

    None when we are not root: then it runs as ourselves.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists():
        return _account(pwd.getpwuid(cluster.stat().st_uid))
    for name in CANDIDATES:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise Unavailable(f"PostgreSQL does not run as root, and there is no account named {' or '.join(CANDIDATES)} here")


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
