from __future__ import annotations

import httpx
import pytest

from core.request import OptimizationRequest
from deployments.local.prefect_environment import PAGE_FILES
from tests.system.stack.running import Stack

pytestmark = pytest.mark.xdist_group("stack")


def test_prefects_page_asks_the_server_that_it_came_from(stack: Stack) -> None:
    """Not port 4200, where no server of ours listens: the page would be empty."""
    page = stack.prefect_url.removesuffix("/api")
    settings = httpx.get(f"{page}/ui-settings", trust_env=False).raise_for_status().json()
    assert settings["api_url"] == "/api"
    assert httpx.get(f"{page}/api/health", trust_env=False).raise_for_status().json() is True


def test_prefects_server_keeps_its_page_in_the_home_and_not_in_the_installation(stack: Stack) -> None:
    """An installation may be another user's."""
    assert list((stack.command.home / PAGE_FILES).glob("*/index.html")) != []
    page = stack.prefect_url.removesuffix("/api")
    assert "<html" in httpx.get(page, trust_env=False, follow_redirects=True).raise_for_status().text


def test_the_form_has_the_requests_fields_in_their_order_and_every_alternative_to_choose(stack: Stack) -> None:
    """Prefect's form goes by `position`, and offers what a field's own `anyOf` has."""
    deployment = stack.prefect("GET", "/deployments/name/request-optimization/request-optimization")
    document = deployment["parameter_openapi_schema"]
    model = document["definitions"]["OptimizationRequest"]
    shown = sorted(model["properties"].values(), key=lambda field: field["position"])
    assert [field["title"] for field in shown] == [name.replace("_", " ") for name in OptimizationRequest.model_fields]
    assert [form.get("type") for form in model["properties"]["buckets"]["anyOf"]] == ["array", None, "null"]
