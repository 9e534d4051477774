"""Connections to PostgreSQL: one small pool per process, every statement with a time limit, one owner of the commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import BadInput, Unavailable

LOCK_TIMEOUT_S = 15
IDLE_IN_TRANSACTION_TIMEOUT_S = 120

# Classes 08 (connection), 53 (resources) and 57P (shutdown); lock timeout, statement timeout, idle timeout, deadlock.
_TRANSIENT_SQLSTATES = ("08", "53", "57P", "55P03", "57014", "25P03", "40P01")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: for a new connection, for a free one of the pool, for one statement."""

    connect_s: int = 10
    pool_s: float = 30.0
    statement_s: int = 60


def make_engine(
    url: str,
    *,
    max_connections: int = 5,
    application_name: str = "vcfolio",
    timeouts: Timeouts = Timeouts(),
) -> Engine:
    """A lazy pool of at most `max_connections` psycopg connections; nothing is opened until the first use.

    url: `postgresql://user:password@host:port/database`, whatever driver it names.
    Raises BadInput for a URL that is none.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The value is withheld, since it may hold a password.
        raise BadInput.of("database URL", "...", "must look like postgresql://user:password@host/database") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise BadInput.of("database URL", parsed.drivername, "must be a PostgreSQL URL (postgresql://...)")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=max_connections,
        max_overflow=0,
        pool_timeout=timeouts.pool_s,
        pool_pre_ping=True,
        json_serializer=partial(json.dumps, allow_nan=False),
        connect_args={
            "application_name": application_name,
            "connect_timeout": timeouts.connect_s,
            "options": (
                f"-c statement_timeout={timeouts.statement_s}s -c lock_timeout={LOCK_TIMEOUT_S}s"
                f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S}s -c timezone=UTC"
            ),
        },
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Commits when the block ends and rolls back when it raises. Never hold one across a solve or an HTTP call.

    Raises Unavailable where trying again can help: no connection, a lost one, a time limit, a deadlock. When the
    connection is lost in the commit itself, its outcome is unknown: repeat only what is idempotent.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except PoolTimeout as error:
        raise Unavailable(f"PostgreSQL: no free connection in this process's pool: {error}") from error
    except DBAPIError as error:
        if not _transient(error):
            raise
        raise Unavailable(f"PostgreSQL at {_place(engine)}: {str(error.orig).strip()}") from error


def _transient(error: DBAPIError) -> bool:
    """Whether the server could not be reached or would not answer now. No SQLSTATE: it never answered at all."""
    cause = error.orig
    if error.connection_invalidated or not isinstance(cause, psycopg.Error):
        return error.connection_invalidated
    if cause.sqlstate is None:
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return cause.sqlstate.startswith(_TRANSIENT_SQLSTATES)


def _place(engine: Engine) -> str:
    url = engine.url
    return f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
