"""What the API answers, as models, so that the OpenAPI document says all of it. Names are camelCase, as in requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from core.result.model import LimitStatus
from core.session_states import SessionStatus
from db.session_reads import SessionStatusView, SessionSummary
from db.tables.owners import FundRole

API = "/api/optimization"

NO_NUL = r"^[^\x00]*$"
"""The one character that PostgreSQL's text cannot hold."""

EXAMPLE_SESSION = "5d0c6c9e-1f5b-4f4e-9b43-0c7f6a1d2e3f"
EXAMPLE_FUND = "00000000-0000-4000-8000-000000000001"


class Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class SessionLinks(Document):
    status: str = Field(examples=[f"{API}/status/{EXAMPLE_SESSION}"])
    result: str = Field(examples=[f"{API}/result/{EXAMPLE_SESSION}"])
    cancel: str = Field(examples=[f"{API}/sessions/{EXAMPLE_SESSION}/cancel"])
    events: str = Field(examples=[f"{API}/sessions/{EXAMPLE_SESSION}/events"])
    page: str = Field(examples=[f"/sessions/{EXAMPLE_SESSION}"])

    @classmethod
    def of(cls, session_id: UUID) -> SessionLinks:
        session = f"{API}/sessions/{session_id}"
        return cls(
            status=f"{API}/status/{session_id}",
            result=f"{API}/result/{session_id}",
            cancel=f"{session}/cancel",
            events=f"{session}/events",
            page=f"/sessions/{session_id}",
        )


class Accepted(Document):
    """created false: the session of an earlier request with the same idempotency key."""

    session_id: UUID = Field(examples=[EXAMPLE_SESSION])
    status: SessionStatus = Field(examples=["REQUESTED"])
    created: bool
    links: SessionLinks


class StageTimes(Document):
    """When each stage was entered or left, by the database's clock; null before."""

    created_at: datetime
    matrix_started_at: datetime | None
    matrix_completed_at: datetime | None
    optimization_started_at: datetime | None
    optimization_completed_at: datetime | None
    validation_started_at: datetime | None
    completed_at: datetime | None


class Progress(Document):
    """Within the stage. objective, bound: expected MOIC of the best answer so far, and what nothing can exceed."""

    step: str | None = Field(default=None, description="what the stage is doing", examples=["primary solve"])
    objective: float | None = Field(default=None, examples=[2.41])
    bound: float | None = Field(default=None, examples=[2.44])
    gap: float | None = Field(default=None, description="(bound - objective) / objective", examples=[0.0124])


class StatusDocument(Document):
    session_id: UUID = Field(examples=[EXAMPLE_SESSION])
    fund_id: UUID = Field(examples=[EXAMPLE_FUND])
    fund_name: str
    status: SessionStatus
    epoch: int = Field(description="attempts to run it, from 0")
    error_code: str | None = Field(description="of a session that failed", examples=[None])
    error_reason: str | None = Field(examples=[None])
    progress: Progress | None
    queue_position: int | None = Field(description="1 for the next to begin; null once a run has begun")
    matrix_key: str
    matrix_cache: Literal["generated", "hit"] | None = Field(description="where its matrix came from")
    created_by: str = Field(description="user name")
    times: StageTimes
    links: SessionLinks

    @classmethod
    def of(cls, seen: SessionStatusView) -> StatusDocument:
        return cls(
            session_id=seen.session_id,
            fund_id=seen.fund_id,
            fund_name=seen.fund_name,
            status=seen.status,
            epoch=seen.epoch,
            error_code=seen.error_code,
            error_reason=seen.error_reason,
            progress=_progress(seen),
            queue_position=seen.queue_position,
            matrix_key=seen.matrix_key,
            matrix_cache=seen.matrix_origin,
            created_by=seen.created_by_name,
            times=StageTimes(**{name: getattr(seen, name) for name in StageTimes.model_fields}),
            links=SessionLinks.of(seen.session_id),
        )


class SummaryDocument(Document):
    """One line of a list. The figures are null before there is an allocation."""

    session_id: UUID = Field(examples=[EXAMPLE_SESSION])
    fund_id: UUID = Field(examples=[EXAMPLE_FUND])
    fund_name: str
    status: SessionStatus
    created_at: datetime
    completed_at: datetime | None
    created_by: str
    error_code: str | None
    expected_moic: float | None
    loss_probability: float | None
    cvar: float | None
    expected_winners: float | None
    relaxed: bool = Field(description="whether a limit had to be relaxed")
    verdict: LimitStatus | None = Field(
        description="whether what is bought keeps the limits as asked; null until completed, and of schema version 1"
    )

    @classmethod
    def of(cls, summary: SessionSummary) -> SummaryDocument:
        values = {name: getattr(summary, name) for name in cls.model_fields if name != "created_by"}
        return cls(**values, created_by=summary.created_by_name)


class SessionPage(Document):
    sessions: list[SummaryDocument]
    next_cursor: str | None = Field(description="for the next page; null on the last")


class CancelRequest(Document):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")

    reason: str = Field(
        default="cancelled by request",
        min_length=1,
        max_length=500,
        pattern=NO_NUL,
        description="kept with the session and the audit",
    )


class FundDocument(Document):
    fund_id: UUID = Field(examples=[EXAMPLE_FUND])
    name: str
    role: FundRole


class CalibrationDocument(Document):
    version: str
    fund_id: UUID | None = Field(description="null: a reference calibration, for every fund")
    method: str
    sample_size: int
    data_window: str
    created_at: datetime


class CalibrationDetail(CalibrationDocument):
    snapshot: dict[str, Any] = Field(description="the whole calibration; see the documentation of calibrations")


class MatrixDocument(Document):
    matrix_key: str
    status: Literal["generating", "complete", "failed"]
    model_version: str
    calibration_version: str
    generation: int
    error_reason: str | None
    buckets: int | None
    scenarios: int | None
    payload_sha256: str | None
    bytes_stored: int | None
    created_at: datetime
    completed_at: datetime | None
    last_accessed_at: datetime
    bucket_stats: dict[str, dict[str, Any]] | None = Field(description="of each bucket alone, by its key")
    key: dict[str, Any] = Field(description="the canonical document that the key is the hash of")


class AuditDocument(Document):
    entry_id: int
    created_at: datetime
    user_name: str | None = Field(description="null: whoever works with Prefect")
    credential: str
    action: str
    session_id: UUID | None
    fund_id: UUID | None
    matrix_key: str | None
    detail: str


class AuditPage(Document):
    entries: list[AuditDocument]
    next_cursor: int | None


def _progress(seen: SessionStatusView) -> Progress | None:
    if seen.progress is None:
        return None
    objective, bound = seen.progress.get("objective"), seen.progress.get("bound")
    gap = None if objective is None or bound is None or objective <= 0 else (bound - objective) / objective
    return Progress(step=seen.progress.get("step"), objective=objective, bound=bound, gap=gap)
