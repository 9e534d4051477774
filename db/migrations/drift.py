"""Do the migrations build what `db/tables` describes? `deployments/local/check_migrations` asks, on empty databases.

One is migrated up, down and up again, the other made from the tables. Alembic compares tables with the first; and all
that PostgreSQL says of both (columns, constraints, indexes, triggers, functions) must be equal.
"""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine

from db import migrations
from db.sql import Statements
from db.tables import metadata

_SQL = Statements("drift")


def catalog(connection: Connection) -> frozenset[str]:
    """What PostgreSQL says of every object in the schema `public`, Alembic's own table apart."""
    described = connection.scalars(_SQL["catalog"]).all()
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
