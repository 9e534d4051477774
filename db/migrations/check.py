"""Do the migrations build what `db/tables` describes?  `python -m db.migrations.check`; exit code 1 when not.

In two throw-away databases: one migrated up, down and up again, one made from the tables. Alembic compares tables
with the first; and all that PostgreSQL says of both (columns, constraints, indexes, triggers, functions) must be equal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from db import migrations
from db.embedded.locks import exclusively
from db.embedded.postgres import EmbeddedPostgres
from db.engine import make_engine
from db.settings import load_settings
from db.tables import metadata

_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_CATALOG = """
SELECT format('column %s.%s #%s %s%s%s%s', c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' NOT NULL' END, ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),
              ' COMMENT ' || col_description(c.oid, a.attnum))
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL
SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def catalog(connection: Connection) -> frozenset[str]:
    """What PostgreSQL says of every object in the schema `public`, Alembic's own table apart."""
    described = connection.scalars(text(_CATALOG)).all()
    return frozenset(line for line in described if "alembic_version" not in line)


def find_drift(migrated: Engine, described: Engine) -> list[str]:
    """One line for each difference between the migrations and the tables. Both databases must be empty."""
    migrations.upgrade(migrated)
    with migrated.connect() as connection:
        first = catalog(connection)
    migrations.downgrade(migrated, "base")
    with migrated.connect() as connection:
        drift = [f"left by downgrade: {line}" for line in sorted(catalog(connection))]
    migrations.upgrade(migrated)
    metadata.create_all(described)
    with migrated.connect() as connection, described.connect() as other:
        migrated_catalog, described_catalog = catalog(connection), catalog(other)
        options = {"compare_type": True, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    drift += [f"changed by down and up: {line}" for line in sorted(first ^ migrated_catalog)]
    drift += [f"alembic: {difference}" for difference in differences]
    drift += [f"only in migrations: {line}" for line in sorted(migrated_catalog - described_catalog)]
    drift += [f"only in tables: {line}" for line in sorted(described_catalog - migrated_catalog)]
    return drift


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


@contextmanager
def _server_url() -> Iterator[str]:
    configured = load_settings().database_url
    if configured is not None:
        yield configured
    else:
        with throw_away_server() as postgres:
            yield postgres.url("postgres")


def main() -> int:
    with _server_url() as url, throw_away_database(url) as migrated, throw_away_database(url) as described:
        drift = find_drift(migrated, described)
    for line in drift:
        sys.stderr.write(f"{line}\n")
    verdict = f"{len(drift)} differences" if drift else "up, down and up again; no drift from db/tables"
    sys.stdout.write(f"migrations at {migrations.HEAD}: {verdict}\n")
    return 1 if drift else 0


if __name__ == "__main__":
    sys.exit(main())
