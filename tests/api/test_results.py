"""A completed session's result, in each form that it can be had."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import httpx
import polars as pl
import pytest

from api.result_document import ResultDocument
from tests.api.serving import serving
from tests.conftest import NewDatabase
from tests.page.carried_out import RELAXED, carried_out

API = "/api/optimization"


@pytest.fixture(scope="module")
def client(new_database: NewDatabase, api_template: str) -> Iterator[httpx.Client]:
    """Its base is the server's; `completed` lies in its database."""
    with new_database(api_template) as engine, serving(engine) as served, served.client(served.token()) as client:
        client.headers["X-Completed"] = str(carried_out(engine, **RELAXED))
        yield client


@pytest.fixture(scope="module")
def completed(client: httpx.Client) -> str:
    return client.headers["X-Completed"]


def test_the_result_is_what_the_command_line_prints_and_the_openapi_says(client: httpx.Client, completed: str) -> None:
    answer = client.get(f"{API}/result/{completed}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    ResultDocument.model_validate(answer.json())


def test_the_allocation_can_be_had_as_a_table(client: httpx.Client, completed: str) -> None:
    allocation = client.get(f"{API}/result/{completed}").json()["allocation"]
    csv = client.get(f"{API}/result/{completed}", headers={"Accept": "text/csv"})
    parquet = client.get(f"{API}/result/{completed}", headers={"Accept": "application/vnd.apache.parquet"})
    for frame in (pl.read_csv(csv.content), pl.read_parquet(BytesIO(parquet.content))):
        assert frame.to_dicts() == [{name: row[name] for name in frame.columns} for row in allocation]
    assert csv.headers["content-disposition"] == f'attachment; filename="allocation-{completed}.csv"'


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("*/*", 200, "application/json"),
        ("text/*", 200, "text/csv; charset=utf-8"),
        ("text/csv;q=0.5, application/json;q=0.4", 200, "text/csv; charset=utf-8"),
        ("application/json, text/csv", 200, "application/json"),
        ("text/html, */*;q=0.1", 200, "application/json"),
        ("application/json;q=0, text/csv;q=0.1", 200, "text/csv; charset=utf-8"),
        ("text/html", 406, "application/problem+json"),
        ("application/json;q=nonsense", 406, "application/problem+json"),
    ],
)
def test_accept_decides(client: httpx.Client, completed: str, accept: str, status: int, content_type: str) -> None:
    answer = client.get(f"{API}/result/{completed}", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
