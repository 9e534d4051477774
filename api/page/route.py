"""Routes of the page: failing in words for people rather than for programs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from api.problems import Problem, not_found, problem_of
from api.rendering import page
from core.errors import VcfolioError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

TITLES = {
    403: "That is not allowed",
    404: "Nothing here",
    409: "That cannot be done now",
    413: "That is too large",
    429: "Too many are waiting",
    503: "The database is away",
}
WHAT_NEXT = {
    403: "Go back, reload the page and try again. If it stays, ask the fund's owner for the role that it needs.",
    404: "It may be mistyped, or belong to a fund that you are no member of. Start from your funds.",
    429: "Nothing was stored. Try again in a while.",
    503: "Nothing is lost. Reload this page in a moment.",
}


class PageRoute(APIRoute):
    """Ends in a page, whatever goes wrong that we know of."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def in_words(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                return error_page(request, problem)
            except VcfolioError as error:
                return error_page(request, problem_of(error))
            except RequestValidationError:
                return error_page(request, not_found("page"))

        return in_words


def error_page(request: Request, problem: Problem) -> HTMLResponse:
    """Without asking the database who is there: it may be what failed."""
    answer = page(
        request,
        "error.html",
        None,
        problem.status,
        title=TITLES.get(problem.status, "Something went wrong"),
        detail=problem.detail,
        what_next=WHAT_NEXT.get(problem.status, "Go back and try again."),
    )
    answer.headers.update(problem.headers)
    return answer
