"""The efficient frontier as a flow: one matrix, and its points as mapped tasks, wave by wave.

It stores nothing but the matrix: the answer is what it returns, shown as an artifact of the run. Run again, it gives
the same answer.
"""

from __future__ import annotations

import os
from typing import Any, cast

from prefect import flow, unmapped
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from core.frontier.document import frontier_document
from core.frontier.family import Assignment, solve_family
from core.frontier.point import FrontierPoint
from core.frontier.variation import parse_variation
from core.request import parse_request
from core.request.normalize import NormalizedRequest
from core.solver.program import SolveControl
from db.engine import transaction
from db.requests import resolve_request
from flows.frontier_artifact import frontier_markdown
from tasks import runtime
from tasks.frontier import frontier_point, shared_matrix

# A cast, because Prefect's task runners are invariant in the futures that they give.
_POINTS_AT_ONCE = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=os.cpu_count() or 1))


@flow(
    name="frontier",
    flow_run_name="frontier {vary}",
    persist_result=False,
    task_runner=_POINTS_AT_ONCE,
)
def frontier(request: dict[str, Any], vary: str) -> dict[str, Any]:
    """The frontier's document (docs/how-to/frontier.md). request: as for a session; vary: FIELD=START:STOP:COUNT.

    Raises BadInput before anything is stored.
    """
    asked = parse_request(request)
    variation = parse_variation([vary])
    with transaction(runtime.engine()) as conn:
        family = [resolve_request(conn, varied) for varied in variation.applied(asked)]
    matrix_key = family[0].matrix_key
    reference = shared_matrix(matrix_key, family[0].key_document)

    def solve(wave: list[Assignment]) -> list[FrontierPoint]:
        futures = frontier_point.map(
            [variation.values[one.rank] for one in wave],
            [_config(family[one.rank]) for one in wave],
            [None if one.start is None else one.start.tolist() for one in wave],
            unmapped(reference),
            unmapped(family[0].key_document),
        )
        return [FrontierPoint.from_json(point) for point in futures.result()]

    points = solve_family(variation.values, solve, SolveControl().relative_gap)
    document = frontier_document(
        variation, variation.asked(asked), points, config=family[0].config, matrix_key=matrix_key
    )
    create_markdown_artifact(frontier_markdown(document), key="frontier", description=f"Frontier over {vary}")
    return document


def _config(normalized: NormalizedRequest) -> dict[str, Any]:
    return normalized.config.model_dump(mode="json")
