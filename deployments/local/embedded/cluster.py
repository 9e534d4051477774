"""The data directory: made by initdb, once, and never taken for complete before it is."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from core.errors import BadInput, Unavailable
from core.own_files import read_own, remove_within, write_own
from deployments.local.embedded.account import Account
from deployments.local.embedded.postmaster import ServerFiles

SUPERUSER = "vcfolio"
# Neither the user's locale nor their PG* variables reach the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
# The second is for systems without the first. Both sort by code point.
LOCALES = ("C.UTF-8", "C")


def create_cluster(files: ServerFiles, programs: Path, account: Account | None, *, lock: int, durable: bool) -> None:
    """Makes the cluster beside its place and moves it there complete, with the password that opens it.

    lock: descriptor of the held server lock, for initdb to hold too. durable: whether to wait for the disk.
    Raises Unavailable with what initdb said.
    """
    for locale in LOCALES:
        shutil.rmtree(files.unfinished_cluster, ignore_errors=True)
        files.unfinished_cluster.mkdir(mode=0o700)
        password = secrets.token_urlsafe(32).encode()
        for_initdb = files.unfinished_cluster / "password"
        write_own(for_initdb, password)
        if account is not None:
            os.chown(for_initdb, account.uid, account.gid)
            os.chown(files.unfinished_cluster, account.uid, account.gid)
        command = [
            *(str(programs / "initdb"), "-D", str(files.unfinished_cluster / files.data.name)),
            *(f"--username={SUPERUSER}", f"--pwfile={for_initdb}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", f"--locale={locale}", "--no-instructions"),
            *(() if durable else ("--no-sync",)),
        ]
        identity = account.as_process_identity() if account else {}
        outcome = subprocess.run(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            pass_fds=[lock],
            **identity,
        )
        if outcome.returncode == 0:
            remove_within(files.unfinished_cluster, for_initdb.name)
            write_own(files.password(SUPERUSER), password)
            files.unfinished_cluster.rename(files.cluster)
            return
        if "locale" not in outcome.stderr:
            break
    raise Unavailable(f"initdb cannot make a database in {files.root}:\n{outcome.stderr.strip()}")


def check_version(files: ServerFiles, major: int) -> None:
    """Raises BadInput when the data were written by another major version, which these programs cannot read."""
    written_by = read_own(files.data / "PG_VERSION", also=files.cluster_owner).decode().strip()
    if written_by != str(major):
        raise BadInput.of(
            "VCFOLIO_PG_BIN_DIR",
            f"PostgreSQL {major}",
            f"must be {written_by}, which wrote the data in {files.data}; or set another VCFOLIO_HOME",
        )


def take_over_files(files: ServerFiles) -> None:
    """Versions before kept password and port within `cluster`. To be called while no server runs."""
    for name, place in (("password", files.password(SUPERUSER)), ("port", files.port)):
        with suppress(FileNotFoundError):
            content = read_own(files.cluster / name, also=files.cluster_owner)
            if not place.exists():
                write_own(place, content)
            remove_within(files.cluster, name)
