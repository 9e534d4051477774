"""Is the process alive, and can it serve? For load balancers and supervisors; no credentials asked."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text

from api.access import Database
from api.problems import ProblemDocument
from core.errors import Unavailable
from db import migrations
from db.engine import transaction

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    status: Literal["ready"] = "ready"
    schema_revision: str


@router.get("/health", summary="The process is alive")
def health() -> Health:
    return Health()


@router.get(
    "/ready",
    summary="The database answers and has the schema of this version",
    responses={503: {"model": ProblemDocument}},
)
def ready(engine: Database) -> Readiness:
    with transaction(engine) as conn:
        conn.execute(text("SELECT 1"))
    revision = migrations.current(engine)
    if revision != migrations.HEAD:
        raise Unavailable(f"the database is at revision {revision}, not {migrations.HEAD}")
    return Readiness(schema_revision=revision)
