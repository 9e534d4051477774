"""The database is away: 503, soon and in words; and back again without anybody's help."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from db.engine import Timeouts, make_engine, transaction
from deployments.cli.api_command import TIMEOUTS
from deployments.local.throw_away import throw_away_server
from tests.db.api.serving import serving
from tests.waiting import eventually

SOON_S = 30.0
"""So long a client waits here; the benchmark says how long it takes."""


def test_where_no_database_answers_it_says_so_and_when_to_come_again() -> None:
    engine = make_engine("postgresql://nobody@127.0.0.1:1/none", timeouts=TIMEOUTS)
    with serving(engine) as served, served.client("vcf_any") as client:
        assert client.get("/health").status_code == 200
        for path in ("/ready", "/api/funds"):
            answer = client.get(path, timeout=SOON_S)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert "127.0.0.1" not in answer.text
    engine.dispose()


@pytest.mark.parametrize("timeouts", [Timeouts(connect_s=2, pool_s=1.5, statement_s=2)])
def test_every_connection_cut_is_made_anew(timeouts: Timeouts) -> None:
    with throw_away_server() as server:
        server.ensure_database("cut")
        engine = make_engine(server.url("cut"), timeouts=timeouts)
        from db.bootstrap import prepare_database  # noqa: PLC0415

        prepare_database(engine)
        with serving(engine) as served, served.client() as client:
            assert client.get("/ready").status_code == 200
            others = make_engine(server.url("postgres"))
            with transaction(others) as conn:
                conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut'"))
            others.dispose()
            assert eventually(lambda: client.get("/ready").status_code == 200)
        engine.dispose()
