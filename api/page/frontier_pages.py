"""What a limit costs: the best portfolio at each of a row of its values, solved when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection

from api.access import Database, require_member, visible_session
from api.frontiers import FrontierState
from api.page.completed import completed
from api.page.route import PageRoute
from api.page_access import PageVisitor, page_guard
from api.problems import not_found
from api.rendering import page
from core.charts.frontier import frontier_chart
from core.formatting import count, multiple, percent
from core.frontier.document import frontier_picture, is_fraction, risk_out_of_sample
from core.frontier.variation import parse_variation
from db.engine import transaction
from db.frontier_requests import request_frontier
from db.frontiers import find_frontier
from db.settings import Settings

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(page_guard)])

NO_PORTFOLIO = "it has no portfolio yet."

SHARES = (0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5)
"""Values are these multiples of what was asked for, as far as a limit may have them."""

LIMITS: Mapping[str, str] = {
    "cvarLimit": "CVaR limit",
    "maxLossProbability": "Loss probability limit",
    "minExpectedWinners": "Expected winners, at least",
    "bucketMaxWeight": "Heaviest bucket, at most",
}


class PointRow(NamedTuple):
    """limit, best expected multiple, proven bound, the two risks out of sample; whether it is what was asked for."""

    limit: str
    best: str
    bound: str
    loss: str
    cvar: str
    as_asked: bool


Vary = Annotated[str, Query(max_length=2000)]


def around(field: str, asked: float) -> str:
    """The row of values about what was asked, itself among them, as `parse_variation` reads it."""
    values = [asked if share == 1.0 else float(f"{asked * share:.3g}") for share in SHARES]
    possible = dict.fromkeys(value for value in values if value <= 1.0 or not is_fraction(field))
    return f"{field}={','.join(f'{value:.12g}' for value in possible)}"


@router.get("/sessions/{session_id}/frontier")
def frontier(request: Request, session_id: UUID, who: PageVisitor, engine: Database, vary: Vary = "") -> HTMLResponse:
    with transaction(engine) as conn:
        seen = visible_session(conn, session_id, who.principal)
        asked = completed(conn, seen, NO_PORTFOLIO).request
        state = _state(conn, session_id, vary) if vary else None
    offered = [(around(field, float(asked[field])), label) for field, label in LIMITS.items() if asked.get(field)]
    document = None if state is None else state.document
    return page(
        request,
        "frontier.html",
        who,
        session=seen,
        offered=offered,
        vary=vary,
        state=state,
        rows=[] if document is None else point_rows(document),
        note=None if document is None else document.get("note"),
        found=document is not None and any(point["pass1EStar"] is not None for point in document["points"]),
        chart=urlencode({"vary": vary}),
        may_change=seen.role.may_change,
    )


@router.post("/sessions/{session_id}/frontier")
def ask(
    request: Request,
    session_id: UUID,
    who: PageVisitor,
    engine: Database,
    vary: Annotated[str, Form(max_length=2000)],
) -> Response:
    with transaction(engine) as conn:
        seen = visible_session(conn, session_id, who.principal)
        require_member(seen.role)
        session = completed(conn, seen, NO_PORTFOLIO)
        settings: Settings = request.app.state.settings
        request_frontier(conn, settings, session, parse_variation([vary]), who.principal.user_id)
    return RedirectResponse(f"/sessions/{session_id}/frontier?{urlencode({'vary': vary})}", 303)


@router.get("/sessions/{session_id}/frontier.svg")
def chart(session_id: UUID, who: PageVisitor, engine: Database, vary: Vary) -> Response:
    with transaction(engine) as conn:
        visible_session(conn, session_id, who.principal)
        state = _state(conn, session_id, vary)
    if state is None or state.document is None:
        raise not_found("frontier")
    return Response(frontier_chart(frontier_picture(state.document), "svg"), media_type="image/svg+xml")


def _state(conn: Connection, session_id: UUID, vary: str) -> FrontierState | None:
    """None for a frontier that nobody has asked for."""
    frontier = find_frontier(conn, session_id, parse_variation([vary]))
    return None if frontier is None else FrontierState.of_row(frontier)


def point_rows(document: Mapping[str, Any]) -> list[PointRow]:
    """From the tightest limit to the loosest."""
    vary = document["vary"]
    shown = percent if is_fraction(vary["field"]) else count
    rows = []
    for point in document["points"]:
        best = point["pass1EStar"]
        if best is not None:
            text = multiple(best, 3)
        else:
            text = "no portfolio exists" if point["status"] == "infeasible" else "none found"
        bound = "-" if point["bound"] is None else multiple(point["bound"], 3)
        risk = risk_out_of_sample(point, "lossProbability"), risk_out_of_sample(point, "cvar")
        rows.append(PointRow(shown(point["value"]), text, bound, *risk, as_asked=point["value"] == vary["asked"]))
    return rows
