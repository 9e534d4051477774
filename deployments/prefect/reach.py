"""Is there a Prefect server where PREFECT_API_URL says, and whom does it let in?"""

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


OPEN_TO_STRANGERS = (
    "lets in whoever reaches its port, and those can have it run any command as the user of a worker: "
    "set PREFECT_SERVER_API_AUTH_STRING for the server and PREFECT_API_AUTH_STRING for its clients"
)


def lets_strangers_in(api_url: str) -> bool:
    """Whether somebody without credentials is answered. False as well where it does not say."""
    try:
        answer = httpx.post(f"{api_url.rstrip('/')}/flows/filter", json={"limit": 1}, timeout=TIMEOUT_S)
    except httpx.HTTPError:
        return False
    return answer.is_success
