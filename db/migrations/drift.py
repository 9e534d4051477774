"""Do the migrations build what `db/tables` describes? `deployments/local/check_migrations` asks, on empty databases.

One is migrated up, down and up again, the other made from the tables. Alembic compares tables with the first; and all
that PostgreSQL says of both (columns, constraints, indexes, triggers, functions) must be equal.
"""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from db import migrations
from db.tables import metadata

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
