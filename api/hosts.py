"""Which names a request may give the host. ASGI, in front of everything.

A page of elsewhere can have its own name lead to this machine (DNS rebinding): the browser takes both for one site.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.addresses import LOOPBACK_NAMES, host_name, is_address, known_names, page_address
from api.problems import Problem
from db.settings import Settings

FOR_PROGRAMS = ("/api/", "/health", "/ready")


class KnownHosts:
    """Refuses other names. The page is shown at its own name only, so that its cookie is not set for 127.0.0.1."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = known_names(settings)
        self._page = page_address(settings)
        self._page_name = urlsplit(self._page).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        name = host_name(Headers(scope=scope).get("host", ""))
        if name not in self._names and not is_address(name):
            detail = "this is not the host that the request names; VCFOLIO_PAGE_URL and VCFOLIO_API_NAMES name it"
            await Problem(400, "unknown_host", detail).response()(scope, receive, send)
        elif self._is_page_elsewhere(name, scope["path"]):
            if scope["method"] in ("GET", "HEAD"):
                query = scope["query_string"].decode("latin-1")
                address = self._page + scope["path"] + (f"?{query}" if query else "")
                await RedirectResponse(address, 307)(scope, receive, send)
            else:
                await Problem(400, "unknown_host", f"the page is at {self._page}").response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_page_elsewhere(self, name: str, path: str) -> bool:
        return self._page_name.endswith(".localhost") and name in LOOPBACK_NAMES and not path.startswith(FOR_PROGRAMS)
