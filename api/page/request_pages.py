"""The form of a request: started from the last one, an example or a file, checked while it is filled, and sent."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy import Connection, Engine
from starlette.datastructures import FormData, UploadFile

from api.access import Database, Visitor, require_member, visible_fund, visible_session
from api.page.forecast import Forecast, forecast
from api.page.form import FormContext, form_groups, found
from api.page.form_reading import Problem as FormProblem
from api.page.form_reading import placed, submitted_document, submitted_sectors
from api.page.route import PageRoute
from api.page_access import PageVisitor, page_guard
from api.problems import SHOWN_PROBLEMS
from api.rendering import page
from api.submission import submit
from core.errors import BadInput, FieldProblem
from core.request import OptimizationRequest, parse_request, parse_request_text, request_hash
from core.request.size import MOST_ENTRIES, MOST_SECTORS
from db.calibrations import list_snapshots, load_snapshot, newest_version
from db.engine import transaction
from db.funds import find_fund
from db.session_reads import newest_request
from db.sessions import load_session

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(page_guard)])

_NONCE = re.compile(r"[0-9a-f-]{36}")

Start = Literal["last", "example", "empty"]
Document = Mapping[str, Any]


async def submitted(request: Request) -> AsyncIterator[FormData]:
    """Closed afterwards, for the sake of the files in it."""
    form = await request.form()
    yield form
    await form.close()


Submitted = Annotated[FormData, Depends(submitted)]


@cache
def example_request() -> dict[str, Any]:
    """A request that works for every fund, without a fund."""
    document: dict[str, Any] = json.loads(resources.files("api.page").joinpath("example.json").read_text("utf-8"))
    return document


@router.get("/funds/{fund_id}/request")
def empty_form(
    request: Request,
    fund_id: UUID,
    who: PageVisitor,
    engine: Database,
    start: Start = "last",
    session: Annotated[UUID | None, Query()] = None,
) -> HTMLResponse:
    """session: whose request to start from; else `start` says."""
    with transaction(engine) as conn:
        require_member(visible_fund(conn, fund_id, who.principal))
        last = newest_request(conn, fund_id)
        if session is not None:
            visible_session(conn, session, who.principal)
            document: Document = load_session(conn, session).request
            said = "Filled with the request of that session."
        elif start == "last" and last is not None:
            document, said = last, "Filled with the fund's last request."
        elif start == "empty":
            document, said = {}, "Empty: what you leave out takes its default."
        else:
            document, said = example_request(), "Filled with an example."
    return _form(request, who, engine, fund_id, document, said=said)


@router.post("/funds/{fund_id}/request")
def send(request: Request, fund_id: UUID, who: PageVisitor, engine: Database, form: Submitted) -> Response:
    """Stores the session, or shows the form again with every problem at its field."""
    _require_member(engine, fund_id, who)
    if form.get("action") == "upload":
        return _uploaded(request, who, engine, fund_id, form)
    document = _document(engine, fund_id, form)
    if form.get("action") == "rows":
        return _form(request, who, engine, fund_id, document, said="The rows by sector are those of the sectors named.")
    try:
        asked = parse_request(document)
        created = submit(request, asked, who.principal, _client_key(form, asked))
    except BadInput as error:
        return _form(request, who, engine, fund_id, document, problems=error.problems, status=422)
    return RedirectResponse(f"/sessions/{created.session.session_id}", 303)


@router.post("/funds/{fund_id}/request/check")
def check(fund_id: UUID, who: PageVisitor, engine: Database, form: Submitted) -> JSONResponse:
    """What `send` would say, without storing anything; for the page's script."""
    _require_member(engine, fund_id, who)
    document = _document(engine, fund_id, form)
    problems, foreseen = _judged(engine, document, who)
    groups = form_groups(document, _context_of(engine, fund_id, document))
    return JSONResponse(
        {
            "problems": [
                {"anchor": one.anchor, "label": one.label, "rule": one.rule}
                for one in placed(problems[:SHOWN_PROBLEMS], groups)
            ],
            "forecast": None
            if foreseen is None
            else {"cached": foreseen.cached, "matrix": foreseen.matrix_words, "time": foreseen.time_words},
        }
    )


def _form(
    request: Request,
    who: Visitor,
    engine: Engine,
    fund_id: UUID,
    document: Document,
    *,
    said: str = "",
    problems: tuple[FieldProblem, ...] = (),
    status: int = 200,
) -> HTMLResponse:
    document = {**document, "fundId": str(fund_id)}
    with transaction(engine) as conn:
        context, fund = _context(conn, fund_id, document), find_fund(conn, fund_id)
    groups = form_groups(document, context)
    foreseen = None if problems else _judged(engine, document, who)[1]
    shown = placed(problems[:SHOWN_PROBLEMS], groups)
    return page(
        request,
        "request.html",
        who,
        status,
        fund=fund,
        groups=groups,
        problems=shown,
        rules=_by_anchor(shown),
        said=said,
        forecast=foreseen,
        nonce=uuid4(),
    )


def _uploaded(request: Request, who: Visitor, engine: Engine, fund_id: UUID, form: FormData) -> Response:
    """The form filled from a file, with what is wrong with it."""
    upload = form.get("file")
    content = upload.file.read() if isinstance(upload, UploadFile) else b""
    text = content.decode("utf-8", errors="replace")
    try:
        document = parse_request_text(text).model_dump(mode="json", by_alias=True, exclude_unset=True)
    except BadInput as error:
        return _form(request, who, engine, fund_id, _readable(text), problems=error.problems, status=422)
    return _form(request, who, engine, fund_id, document, said="Filled from the file.")


def _readable(text: str) -> Document:
    """What of a file that breaks rules can be shown all the same."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _document(engine: Engine, fund_id: UUID, form: FormData) -> dict[str, Any]:
    sent = {name: [value for value in form.getlist(name) if isinstance(value, str)] for name in form}
    with transaction(engine) as conn:
        context = _context(conn, fund_id, {"buckets": {"sectors": submitted_sectors(sent)}})
    return {**submitted_document(sent, context), "fundId": str(fund_id)}


def _judged(engine: Engine, document: Document, who: Visitor) -> tuple[tuple[FieldProblem, ...], Forecast | None]:
    try:
        asked = parse_request(document)
        with transaction(engine) as conn:
            return (), forecast(conn, asked, who.principal)
    except BadInput as error:
        return error.problems, None


def _context_of(engine: Engine, fund_id: UUID, document: Document) -> FormContext:
    with transaction(engine) as conn:
        return _context(conn, fund_id, document)


def _context(conn: Connection, fund_id: UUID, document: Document) -> FormContext:
    """Sectors: those the document names, else those of the fund's newest calibration."""
    calibrations = [one.version for one in list_snapshots(conn, fund_id)]
    named = found(document, ("buckets", "sectors"))
    listed = document.get("buckets")
    if isinstance(listed, list):
        named = [bucket.get("sector") for bucket in listed[:MOST_ENTRIES] if isinstance(bucket, Mapping)]
    # More than a request may have: it is refused, and the form has rows for the first of them.
    named = named[:MOST_SECTORS] if isinstance(named, list | tuple) else ()
    sectors = list(dict.fromkeys(str(one) for one in named))
    newest = None if sectors else newest_version(conn, fund_id)
    if newest is not None:
        sectors = sorted(load_snapshot(conn, newest).sectors)
    return FormContext(sectors, calibrations)


def _require_member(engine: Engine, fund_id: UUID, who: Visitor) -> None:
    with transaction(engine) as conn:
        require_member(visible_fund(conn, fund_id, who.principal))


def _client_key(form: FormData, asked: OptimizationRequest) -> str:
    """The same form sent twice is one session; sent again with other figures it is another."""
    nonce = form.get("nonce")
    known = nonce if isinstance(nonce, str) and _NONCE.fullmatch(nonce) else ""
    return f"page:{known}:{request_hash(asked)}"


def _by_anchor(problems: list[FormProblem]) -> dict[str, list[str]]:
    rules: dict[str, list[str]] = {}
    for problem in problems:
        rules.setdefault(problem.anchor, []).append(problem.rule)
    return rules
