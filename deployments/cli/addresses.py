"""Where the page is."""

from __future__ import annotations

from db.settings import Settings


def page_address(settings: Settings) -> str:
    """As people reach it: that of VCFOLIO_PAGE_URL, else where it is served."""
    return own_address(settings) if settings.page_url is None else settings.page_url.rstrip("/")


def own_address(settings: Settings) -> str:
    """Where it is served on this machine."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return f"http://{host}:{settings.api_port}"
