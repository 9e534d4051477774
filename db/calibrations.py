"""Calibration snapshots: stored once under their version, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from core.calibration.snapshot import CalibrationMethod, CalibrationSnapshot
from core.errors import Conflict, NotFound
from db.sql import Statements
from db.tables import calibration_snapshots as snapshots

_SQL = Statements("calibrations")


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """fund_id None: a reference calibration, for every fund."""

    version: str
    fund_id: UUID | None
    method: CalibrationMethod
    sample_size: int
    data_window: str
    created_at: datetime


def store_snapshot(conn: Connection, snapshot: CalibrationSnapshot, fund_id: UUID | None) -> bool:
    """True when it is new, False when the very same is there already.

    Raises Conflict when the version exists with other content or for another fund.
    """
    document = snapshot.model_dump(mode="json")
    stored = conn.scalar(
        insert(snapshots)
        .values(
            version=snapshot.version,
            fund_id=fund_id,
            transition_stats=document["transition_stats"],
            exit_outcomes=document["exit_outcomes"],
            snapshot=document,
            sample_size=snapshot.sample_size,
            data_window=snapshot.data_window,
            method=snapshot.method,
        )
        .on_conflict_do_nothing(index_elements=["version"])
        .returning(snapshots.c.version)
    )
    if stored is not None:
        return True
    stored_as = select(snapshots.c.snapshot, snapshots.c.fund_id).where(snapshots.c.version == snapshot.version)
    there, owner = conn.execute(stored_as).one()
    # Compared as what they mean: a field that a later version of the product added is not another content.
    if CalibrationSnapshot.model_validate(there) != snapshot:
        raise Conflict.of("calibration version", snapshot.version, "exists with other content; choose a new version")
    if owner != fund_id:
        raise Conflict.of("calibration version", snapshot.version, "belongs to another fund; choose a new version")
    return False


def load_snapshot(conn: Connection, version: str) -> CalibrationSnapshot:
    """Raises NotFound for a version that is not stored."""
    document = conn.scalar(select(snapshots.c.snapshot).where(snapshots.c.version == version))
    if document is None:
        raise NotFound.of("calibration version", version, "no snapshot is stored under this version")
    return CalibrationSnapshot.model_validate(document)


def usable_snapshot(conn: Connection, version: str, fund_id: UUID) -> CalibrationSnapshot | None:
    """None for a version that is not stored, for one of another fund, and for a fund that does not exist."""
    document = conn.scalar(
        _SQL["usable_snapshot"],
        {"version": version, "fund": fund_id},
    )
    return None if document is None else CalibrationSnapshot.model_validate(document)


def newest_version(conn: Connection, fund_id: UUID | None) -> str | None:
    """The latest of the fund's own snapshots, or of the reference calibrations for None."""
    newest: str | None = conn.scalar(
        _SQL["newest_version"],
        {"fund": fund_id},
    )
    return newest


def list_snapshots(conn: Connection, fund_id: UUID | None = None) -> list[SnapshotSummary]:
    """What the fund may use, newest first: its own and the reference calibrations; for None these alone."""
    rows = conn.execute(
        _SQL["list_snapshots"],
        {"fund": fund_id},
    )
    return [SnapshotSummary(*row) for row in rows]
