"""Errors as clients see them: problem details (RFC 9457), each with a stable code and every field that is wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from core.errors import BadInput, Conflict, FieldProblem, NotFound, TooManyWaiting, Unavailable, VcfolioError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
UNAVAILABLE_RETRY_S = 5
SHOWN_VALUE = 200
"""A refused value is repeated to this many characters."""
SHOWN_PROBLEMS = 100
SHOWN_DETAIL = 10_000


Responses = dict[int | str, dict[str, Any]]
"""As FastAPI wants what a route may answer."""


class FieldProblemDocument(BaseModel):
    field: str = Field(description="which field, as a path", examples=["cvarLimit"])
    value: Any = Field(description="what was there; long values are shortened", examples=[1.5])
    rule: str = Field(description="the rule that it breaks", examples=["must be at most 1"])


class ProblemDocument(BaseModel):
    """RFC 9457. `type` is always about:blank: `code` tells one problem from another."""

    type: str = Field(default="about:blank", description="always about:blank; see `code`")
    title: str = Field(description="the status in words", examples=["Unprocessable Content"])
    status: int = Field(description="the HTTP status", examples=[422])
    detail: str = Field(description="what went wrong, for people", examples=["cvarLimit = 1.5: must be at most 1"])
    code: str = Field(description="what went wrong, for programs; never changes its meaning", examples=["bad_input"])
    problems: list[FieldProblemDocument] = Field(default=[], description="every field that is wrong, up to 100")


class Problem(Exception):
    """Raised by a route to end in exactly this problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        problems: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = tuple(problems)
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        document = ProblemDocument(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=_cut(_encodable(self.detail), SHOWN_DETAIL),
            code=self.code,
            problems=[
                FieldProblemDocument(field=_encodable(one.field), value=_shown(one.value), rule=_encodable(one.rule))
                for one in self.problems[:SHOWN_PROBLEMS]
            ],
        )
        return JSONResponse(document.model_dump(mode="json"), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """The same whether it does not exist or is not for the one who asks."""
    return Problem(404, "not_found", f"there is no such {what}, or it is not yours to see")


def problem_of(error: VcfolioError) -> Problem:
    """The one place where the product's errors become HTTP statuses."""
    match error:
        case Conflict():
            return Problem(409, error.code, str(error), problems=error.problems)
        case NotFound() | BadInput():  # NotFound: of a name within the input; what a path names is 404 by its route
            return Problem(422, error.code, str(error), problems=error.problems)
        case TooManyWaiting():
            return Problem(429, error.code, str(error), headers={"Retry-After": f"{error.retry_after_s:.0f}"})
        case Unavailable():
            logger.warning("unavailable: %s", error)
            headers = {"Retry-After": str(UNAVAILABLE_RETRY_S)}
            return Problem(503, error.code, "the database cannot be reached; try again shortly", headers=headers)
        case _:
            logger.error("internal error %s", error.code, exc_info=error)
            return Problem(500, error.code, "something went wrong here; the log of the API says what")


def install(app: FastAPI) -> None:
    """Every way to fail ends in a problem document."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(VcfolioError)
    async def _ours(_request: Request, error: VcfolioError) -> Response:
        return problem_of(error).response()

    @app.exception_handler(RequestValidationError)
    async def _parameters(_request: Request, error: RequestValidationError) -> Response:
        problems = [
            FieldProblem(".".join(map(str, one["loc"][1:])) or str(one["loc"][0]), one.get("input"), one["msg"])
            for one in error.errors()
        ]
        detail = "\n".join(map(str, problems))
        return Problem(422, "bad_input", detail, problems=problems).response()

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return Problem(error.status_code, code, str(error.detail), headers=error.headers).response()

    @app.exception_handler(Exception)
    async def _unforeseen(_request: Request, error: Exception) -> Response:
        logger.error("unforeseen error", exc_info=error)
        return Problem(500, "internal", "something went wrong here; the log of the API says what").response()


def _shown(value: object) -> Any:
    """JSON has no NaN, and long values are cut."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124
        return value
    return _cut(_encodable(value if isinstance(value, str) else repr(value)), SHOWN_VALUE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _encodable(text: str) -> str:
    """JSON may name half of a surrogate pair, and UTF-8 cannot: it is shown as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
