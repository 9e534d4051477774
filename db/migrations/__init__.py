"""Bring a database to the schema this version of vcfolio needs, or back.

Every connection that upgrades waits for one advisory lock, so that any number of processes may start at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from core.errors import BadInput, Conflict, NotFound
from db.engine import transaction

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0011"
"""The newest revision in `versions/`. Known without importing Alembic, so that a start at head costs two queries."""

_ADVISORY_LOCK = 0x76636D696772  # "vcmigr"; shared by whoever migrates this database


def current(engine: Engine) -> str | None:
    """The revision of the database; None before the first migration."""
    with transaction(engine) as connection:
        return _current(connection)


def upgrade(engine: Engine, revision: str = HEAD) -> bool:
    """Migrate up to `revision`. Returns whether there was anything to do.

    Raises Conflict when a newer vcfolio has migrated the database already, NotFound for an unknown revision.
    """
    return current(engine) != revision and _migrate(engine, "upgrade", revision)


def downgrade(engine: Engine, revision: str) -> bool:
    """Migrate down to `revision` ("base": to nothing), losing the data of what is dropped. False when it is there.

    Raises as `upgrade` does, and BadInput for a revision above the database's own.
    """
    _require_known(revision)
    before = current(engine) or "base"
    if revision != "base" and (before == "base" or before < revision):
        raise BadInput.of("revision", revision, f"must not be above the database's own, which is {before}")
    return _migrate(engine, "downgrade", revision)


def _migrate(engine: Engine, direction: str, revision: str) -> bool:
    # A process at head never needs Alembic, whose import takes a third of a second.
    from alembic import command  # noqa: PLC0415

    config, known = _require_known(revision)
    with transaction(engine) as connection:
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        before = _current(connection)
        if before is not None and before not in known:
            raise Conflict.of("database revision", before, "is newer than this version of vcfolio; install a newer one")
        config.attributes["connection"] = connection
        (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)
        return _current(connection) != before


def _require_known(revision: str) -> tuple[Config, set[str]]:
    """Alembic's configuration, and the revisions that there are. Raises NotFound for any other."""
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "db:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision not in known | {"base"}:
        raise NotFound.of("revision", revision, f"must be one of base, {', '.join(sorted(known))}")
    return config, known


def _current(connection: Connection) -> str | None:
    # Not to_regclass(): it answers from a cache that may not know what another connection has just committed.
    exists = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'alembic_version')"
    if not connection.scalar(text(exists)):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
