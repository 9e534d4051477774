"""Asking for a frontier of a completed session, and what such a frontier consists of."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from core.errors import Conflict, TooManyWaiting
from core.frontier.variation import Variation
from core.request import OptimizationRequest, parse_request
from core.request.normalize import NormalizedRequest
from db.frontiers import FrontierRow, NewFrontier, count_waiting_frontiers, submit
from db.requests import resolve_request
from db.session_rows import SessionRow
from db.settings import Settings


@dataclass(frozen=True, slots=True)
class FrontierFamily:
    """asked: what the session's request says of the limit. members: the request at each value, from the tightest."""

    asked: float | None
    members: tuple[NormalizedRequest, ...]


def request_frontier(
    conn: Connection, settings: Settings, session: SessionRow, variation: Variation, created_by: UUID
) -> FrontierRow:
    """The stored frontier of a completed session; begun unless it is there. One that failed is begun again.

    Raises BadInput for values that no request may have, Conflict where this version of the product would simulate
    other scenarios than the session's, TooManyWaiting; the caller's transaction must not be committed then.
    """
    request = pinned_request(session)
    family_of(conn, request, variation, session.session_id, session.matrix_key)
    new = NewFrontier(
        session_id=session.session_id,
        created_by=created_by,
        variation=variation,
        request=request.model_dump(mode="json", by_alias=True, exclude_unset=True),
        matrix_key=session.matrix_key,
    )
    frontier, begun = submit(conn, new)
    if begun:
        # This one is among those counted.
        waiting = count_waiting_frontiers(conn, settings.max_waiting_sessions + 1)
        if waiting > settings.max_waiting_sessions:
            raise TooManyWaiting(waiting - 1, settings.retry_after_s, "frontiers")
    return frontier


def family_of(
    conn: Connection, request: OptimizationRequest, variation: Variation, session_id: UUID, matrix_key: str
) -> FrontierFamily:
    """Raises as `request_frontier`."""
    members = tuple(resolve_request(conn, varied) for varied in variation.applied(request))
    if any(member.matrix_key != matrix_key for member in members):
        raise Conflict.of("session", str(session_id), "was made by another version of vcfolio; ask for it again first")
    return FrontierFamily(variation.asked(request), members)


def pinned_request(session: SessionRow) -> OptimizationRequest:
    """What the session was asked, with what it was given where it named nothing: its calibration, where expectations
    come from, how many scenarios risk is limited and tested on.

    Raises BadInput for a request that this version of the product does not accept any more.
    """
    given = session.normalized_config
    said = parse_request(session.request)
    resolved = {
        "calibration_version": given["calibration_version"],
        "expectations": given.get("expectations", "sample"),
        "risk_scenarios": given.get("risk_scenarios") or "matrix",
        "validation_scenarios": given["validation_scenarios"],
    }
    return parse_request(said.model_dump(mode="json", by_alias=False, exclude_unset=True) | resolved)
