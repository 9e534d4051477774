"""Logging in and out of the page, and the guard in front of every page behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.access import CSRF_HEADER, SAFE_METHODS, Database, Visitor, check_csrf, check_origin
from api.addresses import page_address
from api.rendering import page
from api.security import COOKIE
from db.access import PAGE, end_page_session, page_session, redeem_login_link
from db.audit import Actor, record
from db.engine import transaction
from db.tables.access import Action

CSRF_FIELD = "csrf_token"

router = APIRouter(include_in_schema=False)

PageCookie = Annotated[str | None, Cookie(alias=COOKIE)]


class LoginNeeded(Exception):
    """The request has no valid page session."""


def install(app: FastAPI) -> None:
    @app.exception_handler(LoginNeeded)
    async def _to_login(_request: Request, _error: LoginNeeded) -> Response:
        return RedirectResponse("/login", 303)


def page_visitor(engine: Database, secret: PageCookie = None) -> Visitor:
    """Raises LoginNeeded without a valid page session."""
    if secret is not None:
        with transaction(engine) as conn:
            session = page_session(conn, secret)
        if session is not None:
            return Visitor(session.principal, secret, session.csrf_token)
    raise LoginNeeded


PageVisitor = Annotated[Visitor, Depends(page_visitor)]


async def page_guard(request: Request, who: PageVisitor) -> None:
    """For the whole router of the page, so that no route can forget it.

    Raises LoginNeeded without a valid page session, Problem 403 for a change without the token, in a field or header.
    """
    if request.method in SAFE_METHODS:
        return
    check_origin(request)
    sent = request.headers.get(CSRF_HEADER)
    if sent is None:
        field = (await request.form()).get(CSRF_FIELD)
        sent = field if isinstance(field, str) else None
    check_csrf(who.csrf_token, sent)


@router.get("/login")
def login(request: Request) -> HTMLResponse:
    return page(request, "login.html", None, spent=False)


@router.get("/login/{code}")
def offer_login(request: Request, code: str) -> HTMLResponse:  # noqa: ARG001 - spent by the button, not by a preview
    return page(request, "login_code.html", None)


@router.post("/login/{code}")
def log_in(request: Request, code: str, engine: Database) -> Response:
    check_origin(request)
    lifetime = timedelta(hours=request.app.state.settings.page_session_hours)
    with transaction(engine) as conn:
        secret = redeem_login_link(conn, code, lifetime)
        session = None if secret is None else page_session(conn, secret)
        if session is not None:
            record(conn, session.principal.actor, Action.LOGGED_IN)
    if secret is None:
        return page(request, "login.html", None, 410, spent=True)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(lifetime.total_seconds()),
        httponly=True,
        samesite="lax",
        # Of the address that people have: the last hop, from a proxy, has no TLS.
        secure=page_address(request.app.state.settings).startswith("https:"),
    )
    return response


@router.post("/logout", dependencies=[Depends(page_guard)])
def log_out(who: PageVisitor, engine: Database) -> Response:
    with transaction(engine) as conn:
        end_page_session(conn, who.secret)
        record(conn, Actor(who.principal.user_id, PAGE), Action.LOGGED_OUT)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response
