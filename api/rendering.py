"""The page's templates, filled. Everything is escaped; an undefined name in a template is an error."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from api.access import Visitor
from api.page import figures
from api.page.steps import in_a_word
from core import formatting

environment = Environment(
    loader=PackageLoader("api", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters.update(
    count=formatting.count,
    dollars=formatting.dollars,
    moment=figures.moment,
    multiple=formatting.multiple,
    percent=formatting.percent,
    short_dollars=formatting.short_dollars,
    status_word=in_a_word,
)


def page(request: Request, template: str, who: Visitor | None, status: int = 200, **context: Any) -> HTMLResponse:
    """who: None for those who are not logged in; templates see `principal` and `csrf`, which are None then."""
    filled = environment.get_template(template).render(
        path=request.url.path,
        principal=None if who is None else who.principal,
        csrf=None if who is None else who.csrf_token,
        **context,
    )
    # Half of a surrogate pair, which JSON may name and UTF-8 cannot, is shown as its escape.
    return HTMLResponse(filled.encode("utf-8", "backslashreplace"), status)
