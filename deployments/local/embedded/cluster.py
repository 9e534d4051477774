"""The data directory: made by initdb, once, and never taken for complete before it is."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from core.errors import BadInput, Unavailable
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
        password = files.unfinished_cluster / files.password.name
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(32))
        if account is not None:
            os.chown(password, account.uid, account.gid)
            os.chown(files.unfinished_cluster, account.uid, account.gid)
        command = [
            *(str(programs / "initdb"), "-D", str(files.unfinished_cluster / files.data.name)),
            *(f"--username={SUPERUSER}", f"--pwfile={password}", "--auth=scram-sha-256"),
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
            files.unfinished_cluster.rename(files.cluster)
            return
        if "locale" not in outcome.stderr:
            break
    raise Unavailable(f"initdb cannot make a database in {files.root}:\n{outcome.stderr.strip()}")


def check_version(files: ServerFiles, major: int) -> None:
    """Raises BadInput when the data were written by another major version, which these programs cannot read."""
    written_by = (files.data / "PG_VERSION").read_text().strip()
    if written_by != str(major):
        raise BadInput.of(
            "VCFOLIO_PG_BIN_DIR",
            f"PostgreSQL {major}",
            f"must be {written_by}, which wrote the data in {files.data}; or set another VCFOLIO_HOME",
        )
