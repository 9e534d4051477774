"""`vcfolio schema`."""

from __future__ import annotations

from core.request import OptimizationRequest
from deployments.cli import terminal


def schema() -> None:
    terminal.print_json(OptimizationRequest.model_json_schema(by_alias=True))
