"""Who may come in: bearer tokens for programs, one-time login links and page sessions for people.

Secrets have 256 random bits, so a plain SHA-256 keeps them: there is nothing to guess that hashing slowly would slow.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from core.errors import BadInput, Conflict, NotFound
from db.audit import Actor
from db.tables.access import Scope
from db.tables.sessions import ALL_SESSIONS, CHANGES

TOKEN_PREFIX = "vcf_"  # noqa: S105 - so that people and scanners recognize one
PAGE = "page"
PAGE_SCOPES = frozenset({Scope.READ, Scope.REQUEST})
LONGEST_LIFETIME = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. credential: how they authenticated, for the audit."""

    user_id: UUID
    user_name: str
    scopes: frozenset[Scope]
    credential: str

    @property
    def actor(self) -> Actor:
        return Actor(self.user_id, self.credential)


@dataclass(frozen=True, slots=True)
class PageSession:
    """csrf_token: what its forms must carry; made by itself, so that it says nothing of the session's secret."""

    principal: Principal
    csrf_token: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """All but the secret, which is not stored. last_used_at: to the minute."""

    token_id: UUID
    user_id: UUID
    user_name: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


_TOKENS = """
    SELECT t.token_id, t.user_id, u.name AS user_name, t.name, t.scopes, t.created_at, t.expires_at,
           t.last_used_at, t.revoked_at
    FROM access_tokens t JOIN users u ON u.id = t.user_id
"""


def create_token(
    conn: Connection, *, user_name: str, name: str, scopes: Collection[Scope], lifetime: timedelta
) -> tuple[AccessToken, str]:
    """A token and its secret, which is not stored and cannot be had again.

    Raises NotFound for an unknown user, BadInput for a name, scopes or lifetime that cannot be, Conflict where the user
    has a token of this name that is not revoked.
    """
    name = name.strip()
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise BadInput.of("token name", name, "must have 1 to 200 printable characters")
    if not scopes:
        raise BadInput.of("scopes", [], f"must name at least one of {', '.join(Scope)}")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token_id: UUID | None = conn.scalar(
        text("""
            INSERT INTO access_tokens (user_id, name, secret_sha256, scopes, expires_at)
            VALUES (:user, :name, :secret, :scopes, now() + :lifetime)
            ON CONFLICT (user_id, name) WHERE revoked_at IS NULL DO NOTHING RETURNING token_id
        """),
        {
            "user": _user_id(conn, user_name),
            "name": name,
            "secret": _digest(secret),
            "scopes": [scope.value for scope in Scope if scope in scopes],
            "lifetime": _checked_lifetime(lifetime),
        },
    )
    if token_id is None:
        raise Conflict.of("token name", name, f"{user_name} has a token of this name; revoke it first")
    row = conn.execute(text(_TOKENS + " WHERE t.token_id = :id"), {"id": token_id}).mappings().one()
    return _token(row), secret


def list_tokens(conn: Connection) -> list[AccessToken]:
    """All that were ever made and not yet deleted, by user and age."""
    rows = conn.execute(text(_TOKENS + " ORDER BY u.name, t.created_at, t.token_id")).mappings()
    return [_token(row) for row in rows]


def revoke_token(conn: Connection, token_id: UUID) -> bool:
    """Immediately and permanently. False where there is none, or it is revoked already."""
    revoked = conn.execute(
        text("UPDATE access_tokens SET revoked_at = now() WHERE token_id = :id AND revoked_at IS NULL"),
        {"id": token_id},
    )
    _say_that_access_ended(conn)
    return revoked.rowcount == 1


def token_principal(conn: Connection, secret: str) -> Principal | None:
    """Whose token it is. None when it is unknown, expired or revoked."""
    row = conn.execute(
        text("""
            SELECT t.token_id, t.user_id, u.name AS user_name, t.name, t.scopes,
                   t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute' AS stale
            FROM access_tokens t JOIN users u ON u.id = t.user_id
            WHERE t.secret_sha256 = :secret AND t.revoked_at IS NULL AND t.expires_at > now()
        """),
        {"secret": _digest(secret)},
    ).one_or_none()
    if row is None:
        return None
    if row.stale:  # to the minute, or every read would write
        conn.execute(
            text("UPDATE access_tokens SET last_used_at = now() WHERE token_id = :id"),
            {"id": row.token_id},
        )
    return Principal(row.user_id, row.user_name, frozenset(map(Scope, row.scopes)), f"token {row.name}")


def create_login_link(conn: Connection, user_name: str, lifetime: timedelta) -> str:
    """A code that logs this user in once. Raises NotFound, and BadInput for a lifetime that cannot be."""
    code = secrets.token_urlsafe(32)
    conn.execute(
        text(
            "INSERT INTO login_links (user_id, code_sha256, expires_at) VALUES (:user, :code, now() + :lifetime)",
        ),
        {"user": _user_id(conn, user_name), "code": _digest(code), "lifetime": _checked_lifetime(lifetime)},
    )
    return code


def redeem_login_link(conn: Connection, code: str, lifetime: timedelta) -> str | None:
    """Spends the code: the secret of a new page session. None when it is unknown, expired or spent."""
    user_id: UUID | None = conn.scalar(
        text("""
            UPDATE login_links SET used_at = now()
            WHERE code_sha256 = :code AND used_at IS NULL AND expires_at > now() RETURNING user_id
        """),
        {"code": _digest(code)},
    )
    if user_id is None:
        return None
    secret = secrets.token_urlsafe(32)
    conn.execute(
        text(
            "INSERT INTO page_sessions (user_id, secret_sha256, csrf_token, expires_at)"
            " VALUES (:user, :secret, :csrf, now() + :lifetime)",
        ),
        {
            "user": user_id,
            "secret": _digest(secret),
            "csrf": secrets.token_hex(32),
            "lifetime": _checked_lifetime(lifetime),
        },
    )
    return secret


def page_session(conn: Connection, secret: str) -> PageSession | None:
    """Whose page session it is. None when it is unknown, expired or ended."""
    row = conn.execute(
        text("""
            SELECT p.user_id, u.name, p.csrf_token FROM page_sessions p JOIN users u ON u.id = p.user_id
            WHERE p.secret_sha256 = :secret AND p.ended_at IS NULL AND p.expires_at > now()
        """),
        {"secret": _digest(secret)},
    ).one_or_none()
    return None if row is None else PageSession(Principal(row.user_id, row.name, PAGE_SCOPES, PAGE), row.csrf_token)


def end_page_session(conn: Connection, secret: str) -> None:
    """Log out. Nothing happens where it has ended already."""
    conn.execute(
        text("UPDATE page_sessions SET ended_at = now() WHERE secret_sha256 = :secret AND ended_at IS NULL"),
        {"secret": _digest(secret)},
    )
    _say_that_access_ended(conn)


def delete_spent_access(conn: Connection, *, ended_s: float, limit: int) -> int:
    """Links, page sessions and tokens that have been worthless for so long; one batch. Returns how many went."""
    return sum(
        conn.execute(
            text(f"""
                DELETE FROM {table} WHERE {key} IN (
                  SELECT {key} FROM {table}
                  WHERE least(expires_at, {ended}) < now() - make_interval(secs => :ended_s) LIMIT :limit
                )
            """),  # noqa: S608
            {"ended_s": ended_s, "limit": limit},
        ).rowcount
        for table, key, ended in (
            ("login_links", "link_id", "used_at"),
            ("page_sessions", "page_session_id", "ended_at"),
            ("access_tokens", "token_id", "revoked_at"),
        )
    )


def _say_that_access_ended(conn: Connection) -> None:
    """Whoever follows a session looks at once whether they still may."""
    conn.execute(text("SELECT pg_notify(:channel, :all)"), {"channel": CHANGES, "all": ALL_SESSIONS})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checked_lifetime(lifetime: timedelta) -> timedelta:
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise BadInput.of("lifetime", str(lifetime), f"must be above 0 and at most {LONGEST_LIFETIME.days} days")
    return lifetime


def _user_id(conn: Connection, name: str) -> UUID:
    found: UUID | None = conn.scalar(text("SELECT id FROM users WHERE name = :name"), {"name": name})
    if found is None:
        raise NotFound.of("user", name, "no user has this name; `vcfolio fund member FUND NAME` makes one")
    return found


def _token(row: Mapping[Any, Any]) -> AccessToken:
    return AccessToken(**{**row, "scopes": tuple(map(Scope, row["scopes"]))})
