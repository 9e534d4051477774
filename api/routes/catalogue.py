"""What requests refer to: funds, calibrations, matrices; and the audit."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api.access import Admin, Database, Reader, visible_fund
from api.documents import (
    AuditDocument,
    AuditPage,
    CalibrationDetail,
    CalibrationDocument,
    FundDocument,
    MatrixDocument,
)
from api.problems import ProblemDocument, Responses, not_found
from db.audit import list_entries
from db.calibrations import SnapshotSummary, list_snapshots, load_snapshot
from db.engine import transaction
from db.funds import funds_of
from db.matrix_reads import MatrixView, find_matrix, list_matrices
from db.requests import invalidate_matrix

router = APIRouter(prefix="/api", tags=["catalogue"])

NOT_FOUND: Responses = {404: {"model": ProblemDocument, "description": "Unknown, or not yours to see."}}
MatrixKey = Annotated[str, Path(pattern="^matrix_v1\\.2_[0-9a-f]{64}$", description="canonical matrix key")]
FundId = Annotated[UUID, Query(alias="fundId", description="the fund that uses them")]


@router.get("/funds", summary="Your funds")
def funds(engine: Database, principal: Reader) -> list[FundDocument]:
    with transaction(engine) as conn:
        return [
            FundDocument(fund_id=fund.id, name=fund.name, role=role) for fund, role in funds_of(conn, principal.user_id)
        ]


@router.get("/calibrations", summary="The calibrations a fund may use, the newest first", responses=NOT_FOUND)
def calibrations(engine: Database, principal: Reader, fund_id: FundId) -> list[CalibrationDocument]:
    with transaction(engine) as conn:
        visible_fund(conn, fund_id, principal)
        return [CalibrationDocument(**_summary(one)) for one in list_snapshots(conn, fund_id)]


@router.get("/calibrations/{version}", summary="One calibration, whole", responses=NOT_FOUND)
def calibration(version: str, engine: Database, principal: Reader, fund_id: FundId) -> CalibrationDetail:
    with transaction(engine) as conn:
        visible_fund(conn, fund_id, principal)
        found = next((one for one in list_snapshots(conn, fund_id) if one.version == version), None)
        if found is None:
            raise not_found("calibration")
        snapshot = load_snapshot(conn, version)
    return CalibrationDetail(**_summary(found), snapshot=snapshot.model_dump(mode="json"))


@router.get("/matrices", summary="The matrices of your funds' sessions, those read last first")
def matrices(
    engine: Database, principal: Reader, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[MatrixDocument]:
    with transaction(engine) as conn:
        return [_matrix(view) for view in list_matrices(conn, principal.user_id, limit=limit)]


@router.get("/matrices/{key}", summary="One matrix, without its values", responses=NOT_FOUND)
def matrix(key: MatrixKey, engine: Database, principal: Reader) -> MatrixDocument:
    with transaction(engine) as conn:
        view = find_matrix(conn, key, principal.user_id)
    if view is None:
        raise not_found("matrix")
    return _matrix(view)


@router.post(
    "/matrices/{key}/invalidate",
    status_code=204,
    summary="Discard a matrix; the next session that needs it generates it anew",
    responses={**NOT_FOUND, 403: {"model": ProblemDocument, "description": "This needs the scope admin."}},
)
def invalidate(key: MatrixKey, engine: Database, principal: Admin) -> None:
    with transaction(engine) as conn:
        seen = find_matrix(conn, key, principal.user_id) is not None
        if not (seen and invalidate_matrix(conn, key, principal.actor)):
            raise not_found("complete or failed matrix")


@router.get(
    "/audit",
    summary="Who did what with your funds, the newest first",
    responses={403: {"model": ProblemDocument, "description": "This needs the scope admin."}},
)
def audit(
    engine: Database,
    principal: Admin,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`nextCursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AuditPage:
    with transaction(engine) as conn:
        found = list_entries(conn, reader=principal.user_id, before=cursor, limit=limit + 1)
    entries = [
        AuditDocument(**{name: getattr(entry, name) for name in AuditDocument.model_fields}) for entry in found[:limit]
    ]
    return AuditPage(entries=entries, next_cursor=entries[-1].entry_id if len(found) > limit else None)


def _summary(one: SnapshotSummary) -> dict[str, object]:
    return {name: getattr(one, name) for name in CalibrationDocument.model_fields}


def _matrix(view: MatrixView) -> MatrixDocument:
    return MatrixDocument(
        matrix_key=view.matrix_key,
        status=view.status,
        model_version=view.sim_model_version,
        calibration_version=view.calibration_version,
        generation=view.generation,
        error_reason=view.error_reason,
        buckets=view.bucket_count,
        scenarios=view.s_opt,
        payload_sha256=view.payload_sha256,
        bytes_stored=view.bytes_stored,
        created_at=view.created_at,
        completed_at=view.completed_at,
        last_accessed_at=view.last_accessed_at,
        bucket_stats=_stats(view),
        key=dict(view.matrix_key_json),
    )


def _stats(view: MatrixView) -> dict[str, dict[str, Any]] | None:
    if view.bucket_keys is None or view.bucket_stats is None:
        return None
    return {key: dict(stats) for key, stats in zip(view.bucket_keys, view.bucket_stats, strict=True)}
