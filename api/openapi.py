"""The OpenAPI document, with the models of bodies that are read by hand."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.problems import MEDIA_TYPE
from core.request import OptimizationRequest
from core.result.model import Result

EXAMPLE_REQUEST: dict[str, Any] = {
    "fundId": "00000000-0000-4000-8000-000000000001",
    "totalFundSize": 100_000_000,
    "maxLossProbability": 0.15,
    "cvarLimit": 0.3,
    "calibrationVersion": "us_venture_2004_2013_v2",
}


def install(app: FastAPI) -> None:
    """Made once, when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, definitions = models_json_schema(
                [(OptimizationRequest, "validation"), (Result, "serialization")],
                ref_template="#/components/schemas/{model}",
            )
            schemas = definitions["$defs"]
            schemas["OptimizationRequest"]["examples"] = [EXAMPLE_REQUEST]
            made["components"]["schemas"] |= schemas
            for path in made["paths"].values():
                for operation in path.values():
                    _say_problems(operation["responses"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _say_problems(responses: dict[str, Any]) -> None:
    """Errors are problem documents under their own media type; FastAPI's document takes all models for plain JSON."""
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
