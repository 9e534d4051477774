from __future__ import annotations

import httpx

from tests.stack.running import Stack


def test_prefects_page_asks_the_server_that_it_came_from(stack: Stack) -> None:
    """Not port 4200, where no server of ours listens: the page would be empty."""
    page = stack.prefect_url.removesuffix("/api")
    settings = httpx.get(f"{page}/ui-settings", trust_env=False).raise_for_status().json()
    assert settings["api_url"] == "/api"
    assert httpx.get(f"{page}/api/health", trust_env=False).raise_for_status().json() is True
