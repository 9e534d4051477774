"""Calibration snapshots: versioned, and immutable once written."""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, Uuid, event, text

from core.calibration.snapshot import CalibrationMethod
from db.tables.base import Json, check, created_at, metadata, new_uuid, one_of

calibration_snapshots = Table(
    "calibration_snapshots",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=new_uuid()),
    Column("version", Text, nullable=False),
    Column("fund_id", Uuid, ForeignKey("funds.id"), comment="NULL: an industry benchmark, for every fund"),
    Column("transition_stats", Json, nullable=False),
    Column("exit_outcomes", Json, nullable=False),
    Column("snapshot", Json, nullable=False, comment="the whole document; the two columns before repeat its parts"),
    Column("sample_size", Integer, nullable=False),
    Column("data_window", Text, nullable=False),
    Column("method", Text, nullable=False),
    created_at(),
    UniqueConstraint("version"),
    check("version", "char_length(version) BETWEEN 1 AND 100"),
    check("method", one_of("method", get_args(CalibrationMethod))),
    check("sample_size", "sample_size >= 0"),
    # A missing part makes its comparison NULL, which must not pass.
    check(
        "snapshot_parts",
        "(snapshot ->> 'version' = version AND snapshot -> 'transition_stats' = transition_stats"
        " AND snapshot -> 'exit_outcomes' = exit_outcomes) IS TRUE",
    ),
    Index("idx_calibration_snapshots_fund", "fund_id", text("created_at DESC")),
)

_IMMUTABLE = (
    """
CREATE FUNCTION refuse_snapshot_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'calibration snapshot % is immutable; store a new version', OLD.version
    USING ERRCODE = 'restrict_violation';
END $$
""",
    """
CREATE TRIGGER calibration_snapshots_immutable BEFORE UPDATE ON calibration_snapshots
FOR EACH ROW EXECUTE FUNCTION refuse_snapshot_update()
""",
)


@event.listens_for(calibration_snapshots, "after_create")
def _make_immutable(_table: Table, connection: Connection, **_options: Any) -> None:
    for statement in _IMMUTABLE:
        connection.execute(text(statement))
