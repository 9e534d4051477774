"""The PostgreSQL server that everything else stands on: the one of DATABASE_URL, else the embedded one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from core.errors import Unavailable
from db.settings import Settings

if TYPE_CHECKING:
    from deployments.local.embedded.postgres import EmbeddedPostgres

DATABASE = "vcfolio"
PREFECT_DATABASE = "prefect"
# Roles of the embedded server, whose superuser is called vcfolio since its first version.
OWNER = "vcfolio_owner"
PREFECT_OWNER = "prefect_owner"
CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """What `vcfolio db info` shows. location: the embedded server's directory, else None."""

    version: str
    host: str
    port: int
    database: str
    embedded: bool
    location: str | None


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that answers. url: vcfolio's own database, for SQLAlchemy; it holds the password."""

    url: str
    embedded: EmbeddedPostgres | None

    def prefect_database_url(self) -> str | None:
        """The database of our own Prefect server, with the driver it needs; None when the server is not embedded."""
        return self.embedded.url(PREFECT_DATABASE, driver="asyncpg", role=PREFECT_OWNER) if self.embedded else None

    def describe(self) -> ServerDescription:
        """Asks the server. Raises Unavailable when it does not answer any more."""
        with _connect(self.url) as connection:
            info = connection.info
            return ServerDescription(
                version=info.parameter_status("server_version") or "",
                host=info.host,
                port=info.port,
                database=info.dbname,
                embedded=self.embedded is not None,
                location=str(self.embedded.root) if self.embedded else None,
            )


@contextmanager
def open_postgres(settings: Settings) -> Iterator[PostgresServer]:
    """A server that answers for as long as the block lasts; the embedded one is started when it is not running.

    Raises Unavailable when it cannot be reached or started, BadInput for settings that cannot work.
    """
    if settings.database_url is not None:
        _connect(settings.database_url).close()
        yield PostgresServer(settings.database_url, None)
        return
    with _embedded(settings) as embedded:
        embedded.ensure_owned_database(DATABASE, OWNER)
        embedded.ensure_owned_database(PREFECT_DATABASE, PREFECT_OWNER)
        yield PostgresServer(embedded.url(DATABASE, role=OWNER), embedded)


def _embedded(settings: Settings) -> EmbeddedPostgres:
    if sys.platform == "win32":
        raise Unavailable("the embedded PostgreSQL needs Linux or macOS: set DATABASE_URL to a server's address")
    from deployments.local.embedded.postgres import EmbeddedPostgres  # noqa: PLC0415  (needs fcntl, which Windows lacks)

    return EmbeddedPostgres(settings.home, settings.pg_bin_dir)


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        return psycopg.connect(conninfo, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.Error as error:
        raise Unavailable(f"PostgreSQL at {_address(conninfo)} cannot be reached: {_reason(error, conninfo)}") from None


def _address(conninfo: str) -> str:
    parameters = conninfo_to_dict(conninfo)
    return f"{parameters.get('host', 'localhost')}:{parameters.get('port', 5432)}"


def _reason(error: psycopg.Error, conninfo: str) -> str:
    """What the driver says, without the password, should a message repeat it."""
    password = str(conninfo_to_dict(conninfo).get("password") or "")
    text = str(error).partition("\n")[0]
    return text.replace(password, "***") if password else text
