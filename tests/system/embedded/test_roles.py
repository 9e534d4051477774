"""Product and Prefect each own a database and can do nothing else; homes made before are handed over to these roles."""

from __future__ import annotations

import os

import psycopg
import pytest

from core.own_files import NotOurs
from db.settings import Settings
from deployments.local.embedded.cluster import SUPERUSER
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.embedded.postmaster import ServerFiles
from deployments.local.server import OWNER, PREFECT_OWNER, open_postgres
from tests.system.embedded.conftest import connect
from tests.system.embedded.user_process import FAST


def plain(url: str) -> str:
    return url.replace("+psycopg", "").replace("+asyncpg", "")


@pytest.fixture
def server(embedded):
    with embedded() as postgres:
        postgres.ensure_owned_database("vcfolio", OWNER)
        postgres.ensure_owned_database("prefect", PREFECT_OWNER)
        yield postgres


@pytest.mark.parametrize(
    ("role", "own", "others"), [(OWNER, "vcfolio", "prefect"), (PREFECT_OWNER, "prefect", "vcfolio")]
)
def test_a_role_owns_its_database_and_nothing_else(server, role, own, others):
    with psycopg.connect(plain(server.url(own, role=role)), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")  # which Prefect needs
        connection.execute("CREATE TABLE mine (id serial PRIMARY KEY)")
        for refused in (
            "COPY mine FROM PROGRAM 'echo 1'",
            "COPY mine TO PROGRAM 'cat'",
            "COPY mine FROM '/etc/passwd'",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT * FROM pg_authid",
            "CREATE ROLE another SUPERUSER",
            f"ALTER ROLE {role} SUPERUSER",
            "CREATE DATABASE another",
            f"SET ROLE {SUPERUSER}",
            "ALTER SYSTEM SET log_statement = 'all'",
            "CREATE FUNCTION run() RETURNS int LANGUAGE c AS 'libc', 'getpid'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)
    for database in (others, "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(plain(server.url(database, role=role)))


def test_the_products_own_address_is_not_the_superusers(embedded, home):
    with open_postgres(Settings(home=home)) as server, psycopg.connect(plain(server.url)) as connection:
        assert connection.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = user").fetchone() == (
            OWNER,
            False,
        )
        url = server.prefect_database_url()
    assert f"//{PREFECT_OWNER}:" in url


def test_a_home_of_before_is_handed_over_with_its_data(home):
    as_versions_before_left_it(home)
    with (
        open_postgres(Settings(home=home)) as server,
        psycopg.connect(plain(server.url), autocommit=True) as connection,
    ):
        assert connection.execute("SELECT * FROM seen").fetchall() == [(1, "open", 2)]
        connection.execute("INSERT INTO kept (state) VALUES ('closed')")
        connection.execute("ALTER TABLE kept ADD COLUMN later int")
        connection.execute("ALTER TYPE state ADD VALUE 'new'")
        connection.execute("DROP FUNCTION twice(int) CASCADE")
        connection.execute("ALTER TABLE more.other RENAME TO another")
        connection.execute("SELECT nextval('numbers')")
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'more')")
        assert owners.fetchall() == [(OWNER,)]
        assert server.embedded is not None
        with connect(server.embedded) as superuser:
            databases = "SELECT datname, datdba::regrole::text FROM pg_database WHERE datname IN ('vcfolio', 'prefect')"
            assert dict(superuser.execute(databases).fetchall()) == {"vcfolio": OWNER, "prefect": PREFECT_OWNER}
    assert sorted(path.name for path in (home / "postgres" / "cluster").iterdir()) == ["data", "server.log"]
    with open_postgres(Settings(home=home)) as server, psycopg.connect(plain(server.url)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (2,)


def as_versions_before_left_it(home):
    """Password and port within the cluster, both databases and all in them the superuser's."""
    with EmbeddedPostgres(home, settings=FAST) as postgres:
        for name in ("vcfolio", "prefect"):
            postgres.ensure_database(name)
        with connect(postgres, "vcfolio") as connection:
            connection.execute("""
                CREATE EXTENSION pg_trgm;
                CREATE TYPE state AS ENUM ('open', 'closed');
                CREATE TABLE kept (id serial PRIMARY KEY, state state NOT NULL);
                CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
                CREATE VIEW seen AS SELECT id, state::text, twice(id) FROM kept;
                CREATE SCHEMA more;
                CREATE TABLE more.other (id int GENERATED ALWAYS AS IDENTITY);
                CREATE SEQUENCE numbers;
                INSERT INTO kept (state) VALUES ('open');
            """)
    files = ServerFiles(home / "postgres")
    owner = files.cluster.stat()
    for now, before in ((files.password(SUPERUSER), "password"), (files.port, "port")):
        now.rename(files.cluster / before)
        if os.geteuid() == 0:
            os.chown(files.cluster / before, owner.st_uid, owner.st_gid)


def test_a_password_that_others_can_read_is_not_used(home):
    with EmbeddedPostgres(home, settings=FAST) as postgres:
        postgres.ensure_owned_database("vcfolio", OWNER)
        ServerFiles(postgres.root).password(OWNER).chmod(0o644)
        with pytest.raises(NotOurs, match="can be read by others"):
            postgres.ensure_owned_database("vcfolio", OWNER)


def test_a_lost_password_is_made_anew(home):
    with EmbeddedPostgres(home, settings=FAST) as postgres:
        postgres.ensure_owned_database("vcfolio", OWNER)
        ServerFiles(postgres.root).password(OWNER).unlink()
        postgres.ensure_owned_database("vcfolio", OWNER)
        with psycopg.connect(plain(postgres.url("vcfolio", role=OWNER))) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
