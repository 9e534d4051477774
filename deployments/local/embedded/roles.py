"""Who may do what in the embedded server: each database has an owner, who can do everything in it and nothing else.

The superuser, who can run programs as the server's account, makes databases and their owners; nothing runs as it.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

import psycopg
from psycopg import sql

from core.own_files import own_secret
from deployments.local.embedded.cluster import SUPERUSER
from deployments.local.embedded.postmaster import ServerFiles

_SET_UP_LOCK = 4_937_201_604
_POWERLESS = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")

_IS_SET_UP = """
    SELECT d.datdba = r.oid AND NOT r.rolsuper AND NOT has_database_privilege('public', d.oid, 'CONNECT')
    FROM pg_database d JOIN pg_roles r ON r.rolname = %(owner)s WHERE d.datname = %(name)s
"""

_NOT_YET_OWNED = """
    WITH members AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
    schemas AS (
        SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    )
    SELECT 'SCHEMA', format('%%I', n.nspname) FROM pg_namespace n JOIN schemas USING (oid)
    WHERE n.nspowner = %(former)s::regrole
    UNION ALL
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                          ELSE 'TABLE' END, c.oid::regclass::text
    FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
    WHERE c.relowner = %(former)s::regrole AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
      AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM members)
      -- A column's sequence goes with its table.
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND c.relkind = 'S' AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype::text
    FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typowner = %(former)s::regrole AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
      AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM members)
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
    WHERE p.proowner = %(former)s::regrole
      AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM members)
"""
"""Kind and name of what the superuser owns in this database and no extension does. REASSIGN OWNED refuses the role that
initdb made."""


def ensure_owned_database(server: str, database: str, name: str, owner: str, files: ServerFiles) -> None:
    """The database `name`, owned by the role `owner` and closed to others.

    What the superuser owns in it, as versions before left it, is handed over.

    server, database: to the server's own database and to this one as the superuser, for libpq.
    """
    known = files.password(owner).exists()
    password = own_secret(files.password(owner), secrets.token_urlsafe(32))
    with psycopg.connect(server, autocommit=True) as connection:
        if known and _is_set_up(connection, name, owner):
            return
        connection.execute("SELECT pg_advisory_lock(%s)", [_SET_UP_LOCK])
        _ensure_role(connection, owner, password)
        with suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
            )
        for closed in (name, "postgres", "template1"):
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(closed)))
        _hand_over(database, name, owner)


def _is_set_up(connection: psycopg.Connection[tuple[object, ...]], name: str, owner: str) -> bool:
    row = connection.execute(_IS_SET_UP, {"name": name, "owner": owner}).fetchone()
    return row is not None and row[0] is True


def _ensure_role(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    """What is sent, and may be logged, is what the server keeps of the password, not the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount == 1
    connection.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(role), _POWERLESS, sql.Literal(verifier)
        )
    )


def _hand_over(database: str, name: str, owner: str) -> None:
    """All of it or nothing; the database itself last, by which it is known to be done."""
    with psycopg.connect(database) as connection:
        for kind, identity in connection.execute(_NOT_YET_OWNED, {"former": SUPERUSER}).fetchall():
            # The identity is as PostgreSQL itself quotes it.
            statement = sql.SQL("ALTER {} {} OWNER TO {}").format(
                sql.SQL(kind), sql.SQL(identity), sql.Identifier(owner)
            )
            connection.execute(statement)
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(owner)))
