"""Who calls, and what they may do. A bearer token or the page's cookie; membership decides what exists for whom.

A change asked for with the cookie must prove that it came from the page: by the CSRF token, and by where the browser
says that it comes from. A bearer token is sent by no browser on its own, so it needs neither.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection, Engine

from api.addresses import page_address
from api.problems import Problem, not_found
from api.security import COOKIE
from db.access import Principal, page_session, token_principal
from db.engine import transaction
from db.funds import role_in
from db.session_reads import SessionStatusView, session_status
from db.tables.access import Scope
from db.tables.owners import FundRole

CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="A token made by `vcfolio token add`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The page's session; see `vcfolio login`.")


@dataclass(frozen=True, slots=True)
class Visitor:
    """principal: who asks. secret: of the page session, where it came by cookie, else of the token. csrf_token: of the
    page session, else None."""

    principal: Principal
    secret: str = field(repr=False)
    csrf_token: str | None = field(default=None, repr=False)

    def still_known(self, conn: Connection) -> bool:
        """Whether the credential is still worth what it was: not expired, revoked or logged out since."""
        if self.csrf_token is None:
            return token_principal(conn, self.secret) == self.principal
        session = page_session(conn, self.secret)
        return session is not None and session.principal == self.principal


# What waits for nothing is asynchronous: the way to a thread and back would cost more than the work itself.
async def database(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


Database = Annotated[Engine, Depends(database)]


def visitor(
    request: Request,
    engine: Database,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    secret: Annotated[str | None, Security(_cookie)],
) -> Visitor:
    """Raises Problem 401 without credentials, 403 for a change that does not prove to come from the page."""
    if bearer is not None:
        with transaction(engine) as conn:
            principal = token_principal(conn, bearer.credentials)
        if principal is None:
            raise _unauthorized("the token is unknown, expired or revoked", error="invalid_token")
        return Visitor(principal, bearer.credentials)
    if secret is not None:
        with transaction(engine) as conn:
            session = page_session(conn, secret)
        if session is not None:
            if request.method not in SAFE_METHODS:
                check_origin(request)
                check_csrf(session.csrf_token, request.headers.get(CSRF_HEADER))
            return Visitor(session.principal, secret, session.csrf_token)
    raise _unauthorized("send a bearer token (`vcfolio token add`), or log in (`vcfolio login`)")


CurrentVisitor = Annotated[Visitor, Depends(visitor)]


class Require:
    """A dependency: the principal, who must have this scope. Raises Problem 403 otherwise."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, who: CurrentVisitor) -> Principal:
        if self.scope not in who.principal.scopes:
            raise Problem(403, "forbidden", f"this needs the scope {self.scope.value}, which {_named(who)} lacks")
        return who.principal


Reader = Annotated[Principal, Depends(Require(Scope.READ))]
Requester = Annotated[Principal, Depends(Require(Scope.REQUEST))]
Admin = Annotated[Principal, Depends(Require(Scope.ADMIN))]


def visible_fund(conn: Connection, fund_id: UUID, principal: Principal) -> FundRole:
    """The principal's role in the fund. Raises Problem 404 for an unknown fund as for one of others."""
    role = role_in(conn, fund_id, principal.user_id)
    if role is None:
        raise not_found("fund")
    return role


def visible_session(conn: Connection, session_id: UUID, principal: Principal) -> SessionStatusView:
    """Raises Problem 404 for an unknown session as for one of others' funds."""
    seen = session_status(conn, session_id, principal.user_id)
    if seen is None:
        raise not_found("session")
    return seen


def require_member(role: FundRole) -> None:
    """Raises Problem 403 for a viewer, who reads and changes nothing."""
    if not role.may_change:
        raise Problem(403, "forbidden", "a viewer of the fund reads; starting and cancelling is for its members")


def check_csrf(own: str | None, sent: str | None) -> None:
    """Raises Problem 403 unless what a form sent is the page session's own."""
    if own is None or sent is None or not hmac.compare_digest(sent.encode("utf-8", "replace"), own.encode()):
        raise Problem(403, "csrf", "this change does not prove to come from the page; reload it and try again")


def check_origin(request: Request) -> None:
    """Raises Problem 403 where the browser says that the change comes from elsewhere. Silence is left to the token.

    Source: Fetch Metadata Request Headers (W3C), and RFC 6454 for Origin.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    page = urlsplit(page_address(request.app.state.settings))
    own = (request.headers.get("host"), page.netloc)  # a proxy may pass the host on, or its own
    foreign = origin is not None and urlsplit(origin).netloc not in own
    if foreign or site not in (None, "same-origin", "none"):
        raise Problem(403, "csrf", "a change must come from this site's own page")


def _named(who: Visitor) -> str:
    return f"the {who.principal.credential}"


def _unauthorized(detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="vcfolio"' + (f', error="{error}"' if error else "")
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
