"""Bodies read strictly: JSON that is UTF-8, with no NaN, no infinity and no key twice."""

from __future__ import annotations

from fastapi import Request

from api.problems import Problem
from core.errors import BadInput
from core.request import OptimizationRequest, parse_request_text

JSON = "application/json"


async def json_text(request: Request) -> str:
    """Raises Problem 415 for another media type, 400 for bytes that are no UTF-8."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise Problem(415, "unsupported_media_type", f"send {JSON}, not {media_type or 'a body of no stated type'}")
    try:
        return (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(400, "bad_json", f"the body must be UTF-8: {error.reason} at byte {error.start}") from None


def optimization_request(text: str) -> OptimizationRequest:
    """Raises Problem 400 for what is no JSON, BadInput (422) with every rule that the request breaks."""
    try:
        return parse_request_text(text)
    except BadInput as error:
        if any(problem.rule.startswith("is not JSON") for problem in error.problems):
            raise Problem(400, "bad_json", str(error), problems=error.problems) from None
        raise
