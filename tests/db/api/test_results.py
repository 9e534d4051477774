"""A completed session's result, in each form that it can be had."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import BytesIO, StringIO

import httpx
import polars as pl
import pytest

from api.negotiation import CSV, PARQUET, allocation_table
from core.result.model import Holding, Result
from tests.conftest import NewDatabase
from tests.db.api.serving import Served, serving
from tests.db.frontiers import solve_all
from tests.db.page.carried_out import RELAXED, carried_out

API = "/api/optimization"


@pytest.fixture(scope="module")
def served(new_database: NewDatabase, api_template: str) -> Iterator[Served]:
    with new_database(api_template) as engine, serving(engine) as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """Its base is the server's; `completed` lies in its database."""
    with served.client(served.token()) as client:
        client.headers["X-Completed"] = str(carried_out(served.engine, **RELAXED))
        yield client


@pytest.fixture(scope="module")
def completed(client: httpx.Client) -> str:
    return client.headers["X-Completed"]


def test_the_result_is_what_the_command_line_prints_and_the_openapi_says(client: httpx.Client, completed: str) -> None:
    answer = client.get(f"{API}/result/{completed}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert Result.model_validate(answer.json()).as_json() == answer.json()


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


def test_its_matrix_can_be_read_about_bucket_by_bucket(client: httpx.Client, completed: str) -> None:
    result = client.get(f"{API}/result/{completed}").json()
    matrix = client.get(f"/api/matrices/{result['matrixKey']}").json()
    assert (matrix["status"], matrix["scenarios"]) == ("complete", 40)
    assert matrix["bucketStats"].keys() == {row["bucketId"] for row in result["allocation"]}
    assert all(0 <= stats["win_probability"] <= 1 for stats in matrix["bucketStats"].values())
    assert [one["matrixKey"] for one in client.get("/api/matrices").json()] == [result["matrixKey"]]


def test_what_a_limit_costs_is_solved_on_request_and_the_same_when_asked_again(
    client: httpx.Client, completed: str, served: Served
) -> None:
    frontier, vary = f"{API}/sessions/{completed}/frontier", {"vary": "minExpectedWinners=0:2:3"}
    assert client.get(frontier, params=vary).status_code == 404
    asked = client.post(frontier, params=vary)
    assert asked.status_code == 202
    assert client.get(asked.headers["location"]).json() == asked.json()
    assert asked.json() == {"status": "waiting", "solved": 0, "of": 3, "frontier": None, "error": None}
    solve_all(served.engine)
    done = client.post(frontier, params=vary)
    assert done.status_code == 200
    document = done.json()
    assert (document["status"], document["solved"], document["error"]) == ("done", 3, None)
    points = document["frontier"]["points"]
    assert [point["value"] for point in points] == [2.0, 1.0, 0.0]
    best = [point["pass1EStar"] for point in points if point["status"] != "infeasible"]
    assert best == sorted(best)
    assert client.get(frontier, params={"vary": "fundId=1:2:3"}).json()["problems"][0]["field"] == "vary"


def test_any_api_process_answers_for_a_frontier(served: Served, client: httpx.Client, completed: str) -> None:
    """Asked for at one, followed and cancelled at another, which was started later."""
    frontier, vary = f"{API}/sessions/{completed}/frontier", {"vary": "cvarLimit=0.5:0.9:3"}
    assert client.post(frontier, params=vary).status_code == 202
    with serving(served.engine) as other, other.client(other.token(name="other")) as second:
        assert second.get(frontier, params=vary).json()["status"] == "waiting"
        assert second.delete(frontier, params=vary).json()["status"] == "failed"
        assert client.delete(frontier, params=vary).status_code == 409
        assert "cancelled by local" in client.get(frontier, params=vary).json()["error"]
        assert second.post(frontier, params=vary).json()["status"] == "waiting"
        solve_all(served.engine)
        first_answer = client.get(frontier, params=vary).json()
        assert first_answer["status"] == "done"
        assert second.get(frontier, params=vary).json() == first_answer


def test_a_frontier_of_a_session_that_is_not_completed_or_over_values_that_cannot_be_is_refused(
    client: httpx.Client, completed: str
) -> None:
    frontier = f"{API}/sessions/{completed}/frontier"
    refused = client.post(frontier, params={"vary": "cvarLimit=0.5:1.5:3"})
    assert (refused.status_code, refused.json()["problems"][0]["field"]) == (422, "cvarLimit")
    assert client.post(frontier).status_code == 422
    assert client.get(frontier, params={"vary": "cvarLimit=0.5:1.5:3"}).status_code == 404


@pytest.mark.parametrize("name", ['=HYPERLINK("http://elsewhere.example")', "+1", "-1", "@SUM(1)", "\uff1d1+1"])
def test_a_name_is_no_formula_in_a_spreadsheet(name: str) -> None:
    """Excel and its kin run what begins so; Parquet has types, and keeps the name as it is."""
    figures = {"weight": 1.0, "dollarAmount": -1.5, "dealCount": 1, "avgCheckSize": 1.0, "reserveRatio": 0.0}
    holding = Holding.model_validate(
        {"bucketId": f"Seed_{name}", "stage": "Seed", "sector": name, "allInCostPerDeal": 1.0, **figures}
    )
    (row,) = csv.DictReader(StringIO(allocation_table([holding], CSV).decode()))
    assert row["sector"] == f"'{name}"
    assert float(row["dollarAmount"]) == -1.5
    frame = pl.read_parquet(BytesIO(allocation_table([holding], PARQUET)))
    assert frame["sector"].to_list() == [name]
