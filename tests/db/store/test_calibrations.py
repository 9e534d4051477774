from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from core.calibration.snapshot import (
    CalibrationSnapshot,
    CapTableTerms,
    DealTerms,
    ExitOutcome,
    SectorMultipliers,
    StageTransitions,
)
from core.errors import Conflict, NotFound
from core.stages import Stage
from db import calibrations
from db.funds import EXAMPLE_FUND_ID, add_fund, local_user_id
from tests.db.store.examples import race


def _snapshot(version: str = "benchmark_1", third: float = 1 / 3) -> CalibrationSnapshot:
    return CalibrationSnapshot(
        version=version,
        method="industry_benchmark",
        transition_stats={Stage.SEED: StageTransitions(exit_rate=0.1, graduate_rate=third, failure_rate=5e-324)},
        exit_outcomes={Stage.SEED: ExitOutcome(median_moic=3.5, p90_moic=1e22)},
        deal_terms={
            Stage.SEED: DealTerms(initial_check_size=1e6, check_size_cv=0.3, reserve_ratio=0.5, rounds_to_exit=2)
        },
        cap_table=CapTableTerms(
            dilution_per_round_pct=0.18, option_pool_refresh_pct=0.04, pro_rata_participation_rate=0.8
        ),
        sector_multipliers={"SaaS": SectorMultipliers(risk=0.9, returns=1.1)},
        sample_size=21640,
        data_window="2004-2013",
        provenance={"source": "Größe"},
    )


def test_a_snapshot_comes_back_as_it_was_stored(connection: Connection) -> None:
    assert calibrations.store_snapshot(connection, _snapshot(), None)
    assert calibrations.load_snapshot(connection, "benchmark_1") == _snapshot()


def test_storing_the_very_same_again_changes_nothing(connection: Connection) -> None:
    assert calibrations.store_snapshot(connection, _snapshot(), EXAMPLE_FUND_ID)
    assert not calibrations.store_snapshot(connection, _snapshot(), EXAMPLE_FUND_ID)


def test_a_version_with_other_content_is_a_conflict(connection: Connection) -> None:
    calibrations.store_snapshot(connection, _snapshot(), None)
    with pytest.raises(Conflict, match=r"calibration version = 'benchmark_1'.*other content"):
        calibrations.store_snapshot(connection, _snapshot(third=0.3333333333333332), None)
    assert calibrations.load_snapshot(connection, "benchmark_1") == _snapshot()


@pytest.mark.parametrize("owners", [(None, EXAMPLE_FUND_ID), (EXAMPLE_FUND_ID, None)])
def test_a_version_of_another_owner_is_a_conflict(connection: Connection, owners: tuple[UUID | None, ...]) -> None:
    calibrations.store_snapshot(connection, _snapshot(), owners[0])
    with pytest.raises(Conflict, match="belongs to another fund"):
        calibrations.store_snapshot(connection, _snapshot(), owners[1])


def test_many_first_starts_at_once_install_a_snapshot_once(engine: Engine) -> None:
    stored = race(engine, 8, lambda conn, _number: calibrations.store_snapshot(conn, _snapshot(), None))
    assert sorted(stored) == [False] * 7 + [True]


def test_an_unknown_version_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFound, match="calibration version = 'v9'"):
        calibrations.load_snapshot(connection, "v9")


def test_the_newest_version_is_of_that_owner_alone(connection: Connection) -> None:
    assert calibrations.newest_version(connection, None) is None
    calibrations.store_snapshot(connection, _snapshot("old"), None)
    calibrations.store_snapshot(connection, _snapshot("new"), None)
    connection.execute(text("ALTER TABLE calibration_snapshots DISABLE TRIGGER USER"))
    connection.execute(
        text("UPDATE calibration_snapshots SET created_at = created_at - interval '1 day' WHERE version = 'old'")
    )
    assert calibrations.newest_version(connection, None) == "new"
    assert calibrations.newest_version(connection, EXAMPLE_FUND_ID) is None


def test_a_fund_may_use_its_own_snapshots_and_the_benchmarks(connection: Connection) -> None:
    other = add_fund(connection, "Other", local_user_id(connection))
    for version, owner in (("benchmark", None), ("ours", EXAMPLE_FUND_ID), ("theirs", other.id)):
        calibrations.store_snapshot(connection, _snapshot(version), owner)

    def versions(fund_id: UUID | None) -> set[str]:
        return {summary.version for summary in calibrations.list_snapshots(connection, fund_id)}

    assert versions(EXAMPLE_FUND_ID) == {"benchmark", "ours"}
    assert versions(None) == {"benchmark"}
