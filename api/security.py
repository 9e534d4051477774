"""What every answer carries to protect its reader, and how much of a body is read at all. ASGI, in front of all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sqlalchemy import Engine
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_of
from core.errors import VcfolioError
from db.access import page_session, token_principal
from db.engine import transaction

MAX_BODY_BYTES = 1_048_576
STRANGERS_BODY_BYTES = 16_384
BODY_S = 30.0
COOKIE = "vcfolio_session"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""A drawing brings its own styles; it is shown as an image, where nothing in it could run."""

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class ProtectedAnswers:
    """Adds the headers that are missing. What is told to a user is for no cache but the browser's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                svg = headers.get("content-type", "").startswith("image/svg")
                headers.setdefault("Content-Security-Policy", DRAWING_POLICY if svg else PAGE_POLICY)
                headers.setdefault("Cache-Control", "no-store")
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, protected)


class BoundedBodies:
    """Reads a body before anything is parsed: so much of it, and for so long.

    Refuses more than `MAX_BODY_BYTES`, whatever its Content-Length says, more than `STRANGERS_BODY_BYTES` without a
    valid credential, and what is not there after `BODY_S`.
    """

    def __init__(self, app: ASGIApp, engine: Engine) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_S):
                body = await self._read(scope, receive)
        except TimeoutError:
            body = Problem(408, "too_slow", f"the body must be there within {BODY_S:.0f} s")
        if body is None:
            return
        if isinstance(body, Problem):
            body.headers["Connection"] = "close"
            await body.response()(scope, receive, send)
            return
        read, content = False, body

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": content, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | Problem | None:
        """None where the client has gone."""
        body, more, known = bytearray(), True, False
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                return Problem(413, "too_large", f"the body must have at most {MAX_BODY_BYTES:,} bytes")
            if len(body) > STRANGERS_BODY_BYTES and not known:
                try:
                    known = await asyncio.to_thread(self._is_known, Headers(scope=scope))
                except VcfolioError as error:
                    return problem_of(error)
                if not known:
                    detail = f"without a valid credential the body must have at most {STRANGERS_BODY_BYTES:,} bytes"
                    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="vcfolio"'})
        return bytes(body)

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        with transaction(self._engine) as conn:
            if scheme.lower() == "bearer" and token_principal(conn, token) is not None:
                return True
            return cookie is not None and page_session(conn, cookie) is not None
