"""Who may come in, and what people did. Of a secret only its SHA-256 is stored."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Identity, Index, Table, Text, Uuid, event, text
from sqlalchemy.dialects.postgresql import ARRAY

from db.tables.base import Timestamp, check, created_at, metadata, new_uuid, one_of
from db.tables.owners import NAME_RULE


class Scope(StrEnum):
    """read: what the user may see. request: also start and cancel. admin: also forget matrices, read the audit."""

    READ = "read"
    REQUEST = "request"
    ADMIN = "admin"


class Action(StrEnum):
    SESSION_REQUESTED = "session_requested"
    SESSION_CANCELLED = "session_cancelled"
    MATRIX_INVALIDATED = "matrix_invalidated"
    TOKEN_CREATED = "token_created"  # noqa: S105 - an action, no password
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    LOGGED_IN = "logged_in"
    LOGGED_OUT = "logged_out"


def _digest(column: str) -> Column[Any]:
    return Column(column, Text, nullable=False, unique=True)


def _digest_rule(column: str) -> str:
    return f"{column} ~ '^[0-9a-f]{{64}}$'"


access_tokens = Table(
    "access_tokens",
    metadata,
    Column("token_id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False, comment="for people, to know it again"),
    _digest("secret_sha256"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("last_used_at", Timestamp, comment="to the minute"),
    Column("revoked_at", Timestamp),
    created_at(),
    check("name", NAME_RULE),
    check("secret_sha256", _digest_rule("secret_sha256")),
    check("scopes", "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'request', 'admin']"),
    check("expires_at", "expires_at > created_at"),
    Index("idx_access_tokens_name", "user_id", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

login_links = Table(
    "login_links",
    metadata,
    Column("link_id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _digest("code_sha256"),
    Column("expires_at", Timestamp, nullable=False),
    Column("used_at", Timestamp),
    created_at(),
    check("code_sha256", _digest_rule("code_sha256")),
    check("expires_at", "expires_at > created_at"),
)

page_sessions = Table(
    "page_sessions",
    metadata,
    Column("page_session_id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _digest("secret_sha256"),
    Column("expires_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp),
    created_at(),
    Column("csrf_token", Text, nullable=False, comment="what its forms carry"),
    check("secret_sha256", _digest_rule("secret_sha256")),
    check("expires_at", "expires_at > created_at"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("entry_id", BigInteger, Identity(), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), comment="NULL: whoever works with Prefect"),
    Column("credential", Text, nullable=False, comment="how they came in"),
    Column("action", Text, nullable=False),
    # No foreign keys: what was done stays on record when what it was done to is gone.
    Column("session_id", Uuid),
    Column("fund_id", Uuid),
    Column("matrix_key", Text),
    Column("detail", Text, nullable=False),
    created_at(),
    check("action", one_of("action", Action)),
    check("credential", "credential <> ''"),
    Index("idx_audit_entries_session", "session_id"),
)

_APPEND_ONLY = (
    """
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit entry % stays as it was written', OLD.entry_id USING ERRCODE = 'restrict_violation';
END $$
""",
    """
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()
""",
)


@event.listens_for(audit_entries, "after_create")
def _make_append_only(_table: Table, connection: Connection, **_options: Any) -> None:
    for statement in _APPEND_ONLY:
        connection.execute(text(statement))
