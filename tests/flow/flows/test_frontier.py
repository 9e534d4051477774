"""A frontier as a flow: its points are mapped tasks on one matrix, and nothing but the matrix is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from core.errors import BadInput, Cancelled
from core.request.normalized_config import NormalizedConfig
from db.fault_points import held
from flows.frontier import frontier
from tasks import frontier as frontier_tasks
from tests.flow.flows.product import Product, in_background, task_states
from tests.small_request import SMALL

pytestmark = pytest.mark.xdist_group("flows")

LOOSE = {"cvarLimit": 1.0, "expectations": "sample"}
"""So that some portfolio there is, whatever the scenarios, and few of them settle every point."""

VARY = "maxLossProbability=0:0.9:6"


def request_of(product: Product, **changes: Any) -> dict[str, Any]:
    return {**SMALL, **LOOSE, "taxonomyVersion": product.taxonomy, **changes}


def test_every_point_is_a_task_on_one_matrix_and_the_loosest_is_what_a_session_finds(product: Product) -> None:
    state = frontier(request_of(product), VARY, return_state=True)
    assert state.name == "Completed"
    document = state.result()
    points = document["points"]
    assert [point["value"] for point in points] == [0.0, 0.18, 0.36, 0.54, 0.72, 0.9]
    statuses = [point["status"] for point in points]
    assert set(statuses) == {"infeasible", "optimal"}
    assert statuses == sorted(statuses)
    solved = [point for point in points if point["status"] == "optimal"]
    assert all(point["lossProbability"] <= point["value"] + 1e-12 for point in solved)
    assert [p["pass1EStar"] for p in solved] == sorted(p["pass1EStar"] for p in solved)
    assert all(point["bound"] >= point["pass1EStar"] for point in solved)
    assert task_states(state.state_details.flow_run_id, "matrix", "point") == {
        "matrix": ["Completed"],
        "point": ["Completed"] * 6,
    }
    assert product.sql("SELECT outcome, session_id FROM matrix_generations") == [("complete", None)]
    assert product.sql("SELECT count(*) FROM optimization_sessions") == [(0,)]
    session = product.completed(**LOOSE, maxLossProbability=0.9)
    assert (session.matrix_origin, session.matrix_key) == ("hit", document["matrixKey"])
    assert session.pass1_e_star == pytest.approx(points[-1]["pass1EStar"], rel=2e-4)


def test_a_frontier_again_is_the_same_to_the_bit_and_its_picture_is_an_artifact_of_the_run(product: Product) -> None:
    first = frontier(request_of(product), VARY)
    state = frontier(request_of(product), VARY, return_state=True)
    assert json.dumps(state.result()) == json.dumps(first)
    run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(artifact_filter=run)
    assert "data:image/svg+xml;base64," in artifact.data
    assert "| 0.9 | optimal |" in artifact.data


def test_points_by_the_distribution_are_judged_in_scenarios_that_none_was_chosen_on(product: Product) -> None:
    asked = {"expectations": "distribution", "riskScenarios": 1000, "validationScenarios": 3000}
    document = frontier(request_of(product, **asked), "maxLossProbability=0.7,0.9")
    for point in document["points"]:
        assert point["status"] == "optimal"
        judged = point["outOfSample"]
        assert judged["scenarios"] == 3000
        assert judged["lossProbability"]["limit"] == point["value"]
        assert (
            judged["lossProbability"]["low"] <= judged["lossProbability"]["value"] <= judged["lossProbability"]["high"]
        )
        assert judged["expectedMoic"]["low"] - 0.5 <= point["expectedMoic"] <= judged["expectedMoic"]["high"] + 0.5
    assert document["note"] is None or document["note"].startswith("The frontier is flat")


def test_a_matrix_that_was_damaged_is_made_anew(product: Product) -> None:
    first = frontier(request_of(product), VARY)
    product.sql("UPDATE scenario_matrices SET moic_matrix = substr(moic_matrix, 1, 20)")
    assert frontier(request_of(product), VARY) == first
    assert product.sql("SELECT max(generation) FROM matrix_generations") == [(2,)]


def test_bad_input_is_refused_before_anything_is_stored(product: Product) -> None:
    for request, vary, said in (
        (request_of(product), "cvarLimit=0.5:1.5:3", "cvarLimit = 1.5"),
        (request_of(product), "bucketMaxWeight=0.1:0.5:3", "bucketMaxWeight = 0.1"),
        (request_of(product, surprise=1), VARY, "surprise"),
    ):
        with pytest.raises(BadInput, match=said):
            frontier(request, vary)
    assert product.sql("SELECT count(*) FROM scenario_matrices") == [(0,)]


def test_points_that_are_told_to_stop_end_soon_with_cancelled(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(product)
    with held("frontier.solving"), in_background(lambda: frontier(request, VARY, return_state=True)) as running:
        product.until(lambda: product.sql("SELECT count(*) FROM scenario_matrices WHERE status = 'complete'") == [(1,)])
        monkeypatch.setattr(frontier_tasks, "_told_to_stop", frontier_tasks.threading.Event())
        frontier_tasks.stop_points()
        state = running.result()
    assert state.name == "Failed"
    with pytest.raises(Cancelled):
        state.result()


def test_a_configuration_of_a_point_is_the_requests_with_its_limit_at_the_value(product: Product) -> None:
    document = frontier(request_of(product, maxLossProbability=1.0), "bucketMaxWeight=0.3,0.5")
    session = product.completed(**LOOSE, maxLossProbability=1.0, bucketMaxWeight=0.5)
    config = NormalizedConfig.model_validate(session.normalized_config)
    point = document["points"][-1]
    assert [entry["bucketId"] for entry in point["allocation"]] == [bucket.bucket_id for bucket in config.buckets]
    assert max(entry["weight"] for entry in point["allocation"]) <= 0.5 + 1e-7
    assert point["pass1EStar"] == pytest.approx(session.pass1_e_star, rel=2e-4)
