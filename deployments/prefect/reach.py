"""Is there a Prefect server where PREFECT_API_URL says?"""

from __future__ import annotations

import httpx

from core.errors import Unavailable

TIMEOUT_S = 10.0


def require_answer(api_url: str) -> None:
    """Raises Unavailable. Any answer will do: a server may refuse this call without credentials."""
    try:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise Unavailable(f"the Prefect server of PREFECT_API_URL, {api_url}, cannot be reached: {error}") from error
