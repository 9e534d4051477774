from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, Integer, Table, text

from core.errors import BadInput, Conflict, NotFound
from db import migrations
from db.engine import transaction
from db.migrations.drift import catalog, find_drift
from db.tables import metadata
from deployments.local import check_migrations
from deployments.local.embedded.postgres import EmbeddedPostgres
from tests.conftest import NewDatabase


def _revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def _catalog(engine: Engine) -> frozenset[str]:
    with transaction(engine) as conn:
        return catalog(conn)


def test_head_is_the_newest_of_the_revisions() -> None:
    assert _revisions()[-1] == migrations.HEAD


def test_migrations_build_what_the_tables_describe(new_database: NewDatabase) -> None:
    with new_database("template0") as migrated, new_database("template0") as described:
        assert find_drift(migrated, described) == []


def test_a_difference_between_migrations_and_tables_is_found(new_database: NewDatabase) -> None:
    with new_database("template0") as migrated, new_database("template0") as described:
        with transaction(described) as conn:
            conn.execute(text("CREATE TABLE users (id uuid CONSTRAINT pk_users PRIMARY KEY, name text)"))
        drift = find_drift(migrated, described)
    assert any("only in migrations: constraint users.uq_users_name" in line for line in drift)
    assert any("only in tables: column users.name" in line for line in drift)


@pytest.mark.parametrize(
    "alteration",
    [
        "ALTER TABLE job_outbox DROP CONSTRAINT chk_attempts",
        "ALTER TABLE job_outbox ALTER attempts SET DEFAULT 1",
        "ALTER TABLE job_outbox ALTER payload DROP NOT NULL",
        "ALTER TABLE job_outbox ALTER attempts TYPE bigint",
        "ALTER INDEX idx_job_outbox_claim RENAME TO idx_renamed",
        "CREATE INDEX idx_extra ON job_outbox (next_run_at) WHERE status = 'pending'",
        "ALTER TABLE investments DROP CONSTRAINT fk_investments_company_id",
        "DROP TRIGGER calibration_snapshots_immutable ON calibration_snapshots",
        "ALTER FUNCTION refuse_snapshot_update() SECURITY DEFINER",
    ],
)
def test_no_alteration_escapes_the_comparison(connection: Connection, alteration: str) -> None:
    before = catalog(connection)
    connection.exec_driver_sql(alteration)
    assert catalog(connection) != before


def test_the_check_says_so_and_ends_with_0_when_nothing_differs(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.url("postgres"))
    assert check_migrations.main() == 0
    assert capsys.readouterr().out == "migrations at 0011: up, down and up again; no drift from db/tables\n"


def test_the_check_names_the_difference_and_ends_with_1(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.url("postgres"))
    stray = Table("stray", metadata, Column("number", Integer))
    try:
        assert check_migrations.main() == 1
    finally:
        metadata.remove(stray)
    assert "only in tables: column stray.number #1 integer" in capsys.readouterr().err


def test_each_downgrade_undoes_its_upgrade_and_no_more(empty_engine: Engine) -> None:
    assert migrations.current(empty_engine) is None
    catalogs = {"base": _catalog(empty_engine)}
    for revision in _revisions():
        assert migrations.upgrade(empty_engine, revision)
        assert migrations.current(empty_engine) == revision
        catalogs[revision] = _catalog(empty_engine)
    for revision in list(catalogs)[-2::-1]:
        assert migrations.downgrade(empty_engine, revision)
        assert _catalog(empty_engine) == catalogs[revision]
    assert migrations.current(empty_engine) is None


def test_upgrading_at_head_changes_nothing(engine: Engine) -> None:
    assert migrations.current(engine) == migrations.HEAD
    assert not migrations.upgrade(engine)


def test_of_eight_concurrent_upgrades_one_migrates_and_all_succeed(empty_engine: Engine) -> None:
    barrier = Barrier(8)

    def upgrade() -> bool:
        barrier.wait(timeout=60)
        return migrations.upgrade(empty_engine)

    with ThreadPoolExecutor(8) as pool:
        changed = [future.result() for future in [pool.submit(upgrade) for _ in range(8)]]
    assert sorted(changed) == [False] * 7 + [True]
    assert migrations.current(empty_engine) == migrations.HEAD


def test_a_failing_migration_leaves_nothing_behind(empty_engine: Engine) -> None:
    with transaction(empty_engine) as conn:
        conn.execute(text("CREATE TABLE job_outbox (in_the_way integer)"))
    before = _catalog(empty_engine)
    with pytest.raises(Exception, match="job_outbox"):
        migrations.upgrade(empty_engine)
    assert _catalog(empty_engine) == before
    assert migrations.current(empty_engine) is None


def test_a_database_of_a_newer_version_is_refused(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match=r"9999.*newer"):
        migrations.upgrade(engine)


@pytest.mark.parametrize("revision", ["0000", "9999", "yesterday"])
def test_an_unknown_revision_is_refused_with_those_that_there_are(engine: Engine, revision: str) -> None:
    with pytest.raises(NotFound, match=f"revision = '{revision}': must be one of base, 0001, "):
        migrations.downgrade(engine, revision)


def test_a_downgrade_does_not_go_up(engine: Engine) -> None:
    migrations.downgrade(engine, "0002")
    with pytest.raises(BadInput, match="revision = '0004': must not be above the database's own, which is 0002"):
        migrations.downgrade(engine, "0004")
    assert not migrations.downgrade(engine, "0002")
