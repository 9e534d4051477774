"""Run by Alembic. The caller owns connection, transaction and lock: see `db.migrations`."""

from __future__ import annotations

from alembic import context

from db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
