"""Style, script and icon, from within the package."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import api


class Assets(StaticFiles):
    """Asked for again with each page, and answered 304 while they are the same: an upgrade is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def assets() -> Assets:
    return Assets(directory=Path(api.__file__).parent / "static")
