"""A server and databases that are gone at the end, for checks, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import Engine, text

from db.engine import make_engine
from deployments.local.embedded.locks import exclusively
from deployments.local.embedded.postgres import EmbeddedPostgres

_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def throw_away_database(server_url: str) -> Iterator[Engine]:
    """An empty database on that server, dropped afterwards."""
    name = f"vcfolio_check_{uuid4().hex}"
    server = make_engine(server_url).execution_options(isolation_level="AUTOCOMMIT")
    engine = make_engine(server.url.set(database=name).render_as_string(hide_password=False))
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
    try:
        yield engine
    finally:
        engine.dispose()
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


@contextmanager
def throw_away_server() -> Iterator[EmbeddedPostgres]:
    """A server of the caller's own, gone with its data at the end; nothing in it has to survive a power cut."""
    with TemporaryDirectory(prefix="vcfolio-postgres-") as home:
        # Where root starts it, the server's own account must be able to enter.
        Path(home).chmod(0o711)
        with EmbeddedPostgres(Path(home), settings=_NOT_DURABLE) as postgres:
            yield postgres
        # The warden looks once more after the last user has left, and would do so while its directory is removed.
        with exclusively(postgres.root / "warden.lock"):
            pass
