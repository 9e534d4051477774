"""The pages that are read: funds, a fund's sessions, a session in whatever state, its report, two compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.access import Database, require_member, visible_fund, visible_session
from api.cursors import parse_session_cursor, session_cursor
from api.negotiation import CSV, JSON, PARQUET, allocation_table
from api.page import answer, charts, comparison
from api.page.completed import completed
from api.page.constraints import constraint_report
from api.page.route import PageRoute
from api.page.steps import progress_view
from api.page_access import PageVisitor, page_guard
from api.problems import not_found
from api.rendering import page
from api.submission import submit
from core.request import parse_request
from core.result.sentences import purchase_sentences
from core.session_states import SessionStatus
from db.engine import transaction
from db.funds import find_fund, funds_of
from db.requests import cancel_session
from db.results import session_result
from db.session_reads import SessionStatusView, list_sessions
from db.session_rows import SessionRow
from db.sessions import load_session

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(page_guard)])

SESSIONS_A_PAGE = 25
CHART_MAX_AGE_S = 86_400


@router.get("/")
def home(request: Request, who: PageVisitor, engine: Database) -> HTMLResponse:
    with transaction(engine) as conn:
        funds = funds_of(conn, who.principal.user_id)
        newest = list_sessions(conn, who.principal.user_id, limit=10)
    return page(request, "home.html", who, funds=funds, sessions=newest)


@router.get("/funds/{fund_id}")
def fund(
    request: Request,
    fund_id: UUID,
    who: PageVisitor,
    engine: Database,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    before = None if cursor is None else parse_session_cursor(cursor)
    with transaction(engine) as conn:
        role = visible_fund(conn, fund_id, who.principal)
        named = find_fund(conn, fund_id)
        found = list_sessions(conn, who.principal.user_id, fund_id=fund_id, before=before, limit=SESSIONS_A_PAGE + 1)
    shown = found[:SESSIONS_A_PAGE]
    more = session_cursor(shown[-1].created_at, shown[-1].session_id) if len(found) > SESSIONS_A_PAGE else None
    return page(request, "fund.html", who, fund=named, may_ask=role.may_change, sessions=shown, more=more)


@router.get("/sessions/{session_id}")
def session(request: Request, session_id: UUID, who: PageVisitor, engine: Database) -> HTMLResponse:
    with transaction(engine) as conn:
        seen = visible_session(conn, session_id, who.principal)
        row = load_session(conn, session_id)
    context = {**_about(seen), "request_json": _pretty(row.request)}
    if seen.status is not SessionStatus.COMPLETED:
        return page(request, "session.html", who, **context)
    multiples = charts.portfolio_multiples(engine, row)
    rows = () if multiples is None else charts.multiples_rows(multiples)
    return page(request, "result.html", who, **context, **answered(row), multiples_rows=rows)


@router.get("/sessions/{session_id}/progress")
def progress(request: Request, session_id: UUID, who: PageVisitor, engine: Database) -> HTMLResponse:
    """The part of the page that changes while a session runs."""
    with transaction(engine) as conn:
        seen = visible_session(conn, session_id, who.principal)
    return page(request, "progress.html", who, **_about(seen))


@router.get("/sessions/{session_id}/report")
def report(request: Request, session_id: UUID, who: PageVisitor, engine: Database) -> HTMLResponse:
    with transaction(engine) as conn:
        seen = visible_session(conn, session_id, who.principal)
        row = completed(conn, seen)
    multiples = charts.portfolio_multiples(engine, row)
    rows = () if multiples is None else charts.multiples_rows(multiples)
    context = {**_about(seen), **answered(row), "multiples_rows": rows, "request_json": _pretty(row.request)}
    return page(request, "report.html", who, **context, config_json=_pretty(row.normalized_config))


@router.get("/sessions/{session_id}/charts/{name}.svg")
def chart(session_id: UUID, name: charts.ChartName, who: PageVisitor, engine: Database) -> Response:
    with transaction(engine) as conn:
        row = completed(conn, visible_session(conn, session_id, who.principal))
    multiples = charts.portfolio_multiples(engine, row) if name == "multiples" else None
    drawn = charts.chart(name, row, multiples)
    if drawn is None:
        raise not_found("chart")
    headers = {"Cache-Control": f"private, max-age={CHART_MAX_AGE_S}"}
    return Response(drawn, media_type="image/svg+xml", headers=headers)


@router.get("/sessions/{session_id}/download/{kind}")
def download(session_id: UUID, kind: str, who: PageVisitor, engine: Database) -> Response:
    """The allocation as csv or parquet, the whole result as json; by address, since a link states no media type."""
    media_type = {"csv": CSV, "parquet": PARQUET, "json": JSON}.get(kind)
    if media_type is None:
        raise not_found("download")
    with transaction(engine) as conn:
        row = completed(conn, visible_session(conn, session_id, who.principal))
    result = session_result(row)
    body = _pretty(result.as_json()).encode() if media_type == JSON else allocation_table(result.allocation, media_type)
    name = f"{'result' if media_type == JSON else 'allocation'}-{session_id}.{kind}"
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/sessions/{session_id}/cancel")
def cancel(session_id: UUID, who: PageVisitor, engine: Database) -> Response:
    with transaction(engine) as conn:
        require_member(visible_session(conn, session_id, who.principal).role)
        # One that has ended meanwhile is shown as it ended.
        cancel_session(conn, session_id, f"cancelled by {who.principal.user_name} on the page", who.principal.actor)
    return RedirectResponse(f"/sessions/{session_id}", 303)


@router.post("/sessions/{session_id}/retry")
def retry(request: Request, session_id: UUID, who: PageVisitor, engine: Database) -> Response:
    """The same request as a new session."""
    with transaction(engine) as conn:
        require_member(visible_session(conn, session_id, who.principal).role)
        asked = parse_request(load_session(conn, session_id).request)
    created = submit(request, asked, who.principal, f"page:retry:{uuid4()}")
    return RedirectResponse(f"/sessions/{created.session.session_id}", 303)


@router.get("/compare")
def compare(request: Request, who: PageVisitor, engine: Database, a: UUID, b: UUID) -> HTMLResponse:
    with transaction(engine) as conn:
        seen = [visible_session(conn, one, who.principal) for one in (a, b)]
        rows = [load_session(conn, one) for one in (a, b)]
    both = all(row.status is SessionStatus.COMPLETED for row in rows)
    results = [session_result(row) for row in rows] if both else []
    return page(
        request,
        "compare.html",
        who,
        sessions=seen,
        completed=both,
        verdicts=[answer.headline(result.verdict) for result in results],
        asked=comparison.request_differences(rows[0].request, rows[1].request),
        figures=comparison.figure_differences(*results) if both else [],
        weights=comparison.weight_differences(*results) if both else [],
        constraints=comparison.constraint_differences(*results) if both else [],
    )


def _about(seen: SessionStatusView) -> dict[str, Any]:
    return {
        "session": seen,
        "progress": progress_view(seen, datetime.now(UTC)),
        "may_change": seen.role.may_change,
    }


def answered(row: SessionRow) -> dict[str, Any]:
    """What result page and report show of a completed session."""
    result = session_result(row)
    return {
        "result": result,
        "headline": answer.headline(result.verdict),
        "verdict_limits": answer.limit_rows(result.verdict),
        "purchases": purchase_sentences(result.allocation),
        "risk": answer.risk_view(result, row.normalized_config["cvar_confidence_level"]),
        "allocation": answer.allocation_view(result.allocation),
        "constraints": constraint_report(result),
        "regimes": answer.regimes_view(result.validation.whole_deals.out_of_sample),
        "comparisons": answer.comparison_rows(result.validation.comparison_portfolios),
        "proof": answer.proof_lines(result),
        "whole_deals": answer.whole_deal_lines(result),
        "timings": answer.timing_rows(result),
    }


def _pretty(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
