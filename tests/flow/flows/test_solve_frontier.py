"""A stored frontier as a flow: what the bridge starts, with Prefect's server and its tasks."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from core.frontier.variation import parse_variation
from db import frontiers
from db.engine import transaction
from db.fault_points import held
from db.frontier_requests import request_frontier
from db.frontiers import FrontierRow
from db.session_rows import SessionRow
from db.settings import Settings
from db.tables.frontiers import FrontierStatus
from flows.frontier import frontier
from flows.solve_frontier import solve_frontier
from tasks import frontier_job
from tests.flow.flows.product import Product, in_background, task_states
from tests.small_request import SMALL

pytestmark = pytest.mark.xdist_group("flows")

LOOSE = {"cvarLimit": 1.0}
"""So that some portfolio there is, whatever the scenarios."""

VARY = "maxLossProbability=0:0.9:4"


def ask(product: Product, session: SessionRow, vary: str = VARY) -> FrontierRow:
    with transaction(product.engine) as conn:
        variation = parse_variation([vary])
        return request_frontier(conn, Settings(home="/nowhere"), session, variation, session.created_by)


def stored(product: Product, asked: FrontierRow) -> FrontierRow:
    with transaction(product.engine) as conn:
        return frontiers.load_frontier(conn, asked.frontier_id)


def test_it_stores_what_the_frontier_of_the_same_request_is_and_shows_it_as_an_artifact(product: Product) -> None:
    session = product.completed(**LOOSE)
    asked = ask(product, session)
    state = solve_frontier(asked.frontier_id, 0, return_state=True)
    assert state.name == "Completed", state
    done = stored(product, asked)
    assert done.status is FrontierStatus.COMPLETED
    assert done.document == frontier({**SMALL, **LOOSE, "taxonomyVersion": product.taxonomy}, VARY)
    run_id = state.state_details.flow_run_id
    assert task_states(run_id, "matrix", "point") == {"matrix": ["Completed"], "point": ["Completed"] * 4}
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    assert "| value | status |" in str(artifact.data)
    assert solve_frontier(asked.frontier_id, 0, return_state=True).name == "Superseded"


def test_its_matrix_is_made_again_where_it_was_evicted(product: Product) -> None:
    session = product.completed(**LOOSE)
    asked = ask(product, session)
    product.sql("DELETE FROM scenario_matrices")
    assert solve_frontier(asked.frontier_id, 0, return_state=True).name == "Completed"
    assert product.sql("SELECT status FROM scenario_matrices") == [("complete",)]


def test_a_frontier_cancelled_while_it_is_solved_ends_soon_as_cancelled(product: Product) -> None:
    asked = ask(product, product.completed(**LOOSE))
    solving = "SELECT status FROM frontier_jobs"
    with (
        held("frontier.solving"),
        in_background(lambda: solve_frontier(asked.frontier_id, 0, return_state=True)) as running,
    ):
        product.until(lambda: product.sql(solving) == [("SOLVING",)])
        with transaction(product.engine) as conn:
            assert frontiers.cancel_frontier(conn, asked.frontier_id, "not wanted any more")
        state = running.result()
    assert state.name == "Cancelled", state
    assert stored(product, asked).error_reason == "not wanted any more"


def test_an_error_that_nobody_foresaw_fails_the_frontier_with_its_words(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(product, product.completed(**LOOSE))

    def break_down(*_arguments: Any, **_options: Any) -> Any:
        raise RuntimeError("the roof leaks")

    monkeypatch.setattr(frontier_job, "solve_point", break_down)
    assert solve_frontier(asked.frontier_id, 0, return_state=True).name == "Failed"
    failed = stored(product, asked)
    assert (failed.error_code, failed.error_reason) == ("internal_error", "RuntimeError: the roof leaks")
