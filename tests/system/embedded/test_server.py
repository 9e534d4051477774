from __future__ import annotations

import psycopg
import pytest

from core.errors import Unavailable
from db.settings import Settings
from deployments.local.server import open_postgres
from tests.system.embedded.conftest import stopped


def database_behind(url: str) -> str:
    scheme, _, rest = url.partition("://")
    with psycopg.connect(f"{scheme.partition('+')[0]}://{rest}") as connection:
        return connection.execute("SELECT current_database()").fetchone()[0]


def test_without_a_database_url_the_embedded_server_has_both_databases(home):
    with open_postgres(Settings(home=home)) as server:
        assert database_behind(server.url) == "vcfolio"
        assert server.prefect_database_url().startswith("postgresql+asyncpg://")
        assert database_behind(server.prefect_database_url()) == "prefect"
        described = server.describe()
    assert described.embedded
    assert described.location == str(home / "postgres")
    assert (described.host, described.database) == ("127.0.0.1", "vcfolio")
    assert described.version.partition(".")[0].isdigit()
    assert stopped(home / "postgres")


def test_a_database_url_is_used_as_it_is_and_no_server_is_started(embedded, open_directory):
    other_home = open_directory / "other"
    with embedded() as elsewhere:
        elsewhere.ensure_database("funds")
        url = elsewhere.url("funds")
        with open_postgres(Settings(home=other_home, database_url=url)) as server:
            assert server.url == url
            assert server.embedded is None
            assert server.prefect_database_url() is None
            described = server.describe()
        assert (described.port, described.database) == (elsewhere.port, "funds")
        assert not described.embedded
        assert described.location is None
    assert not other_home.exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1/funds", "Connection refused"), ("nowhere.invalid:6543/funds", "resolve")],
)
def test_a_server_out_of_reach_is_named_without_its_password(open_directory, address, reason):
    settings = Settings(home=open_directory, database_url=f"postgresql://analyst:s3cret@{address}")
    with pytest.raises(Unavailable, match=reason) as raised, open_postgres(settings):
        pass
    assert f"PostgreSQL at {address.partition('/')[0]} cannot be reached" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_wrong_password_is_not_repeated(embedded, open_directory):
    with embedded() as postgres:
        url = f"postgresql://vcfolio:s3cret@127.0.0.1:{postgres.port}/postgres"
        with (
            pytest.raises(Unavailable, match="password authentication failed") as raised,
            open_postgres(Settings(home=open_directory, database_url=url)),
        ):
            pass
    assert "s3cret" not in str(raised.value)
