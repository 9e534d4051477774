"""Where the page is, and by which names the API is asked.

A browser keeps cookies by name and not by port, so what is served at 127.0.0.1 shares its cookies with every other
program there. The page therefore has a name of its own, which browsers lead to this machine by themselves (RFC 6761).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from db.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OWN_NAME = "vcfolio.localhost"


def page_address(settings: Settings) -> str:
    """As people reach it: that of VCFOLIO_PAGE_URL, else where it is served, on this machine by its own name."""
    if settings.page_url is not None:
        return settings.page_url.rstrip("/")
    if settings.api_host in LOOPBACK_NAMES:
        return f"http://{OWN_NAME}:{settings.api_port}"
    return own_address(settings)


def own_address(settings: Settings) -> str:
    """Where it is served on this machine."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return f"http://{host}:{settings.api_port}"


def known_names(settings: Settings) -> frozenset[str]:
    """By which a request may name the host. Addresses need no list: no page of elsewhere has one for its name."""
    more = (name.strip().lower() for name in settings.api_names.split(","))
    page = urlsplit(page_address(settings)).hostname or ""
    return frozenset({"localhost", OWN_NAME, settings.api_host.lower(), page, *more} - {""})


def host_name(host: str) -> str:
    """Of a Host header, without the port; empty for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
