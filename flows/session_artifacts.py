"""What Prefect's page of a session's run shows: how far it is, and what came out. Never what decides over it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

import numpy as np
from prefect import runtime as prefect_runtime
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger

from core.charts.canvas import markdown_image
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.result.charts.portfolio import allocation_chart, holdings_of, multiples_chart
from core.result.model import Result
from core.session_states import SessionStatus
from db.results import session_result, stored_weights
from db.session_rows import SessionRow
from flows.artifact_texts import constraints_markdown, risk_markdown, verdict_markdown

PERCENT = {
    SessionStatus.REQUESTED: 0.0,
    SessionStatus.MATRIX_GENERATING: 5.0,
    SessionStatus.OPTIMIZING: 30.0,
    SessionStatus.VALIDATING: 80.0,
    SessionStatus.COMPLETED: 100.0,
    SessionStatus.FAILED: 100.0,
}

WHERE = "Where to find this session"


class Publisher:
    """Of one run. A run that no deployment started (the command line's) is not looked at, and publishes nothing."""

    def __init__(self, session_id: UUID, page_url: str | None) -> None:
        self._session_id = session_id
        self._page_url = page_url
        self._watched = prefect_runtime.deployment.id is not None
        self._progress: UUID | None = None

    def reached(self, status: SessionStatus) -> None:
        """The progress bar, and with the first call the way to the session."""
        if self._progress is None:
            self._show(self._begin)
        if self._progress is not None:
            self._show(partial(self._update, status))

    def completed(self, session: SessionRow, load_matrix: Callable[[], ScenarioMatrix]) -> None:
        """Verdict, allocation, constraints, risk and two charts. load_matrix: the one that it was optimized on."""
        result = session_result(session)
        for publish in (
            partial(_verdict, result),
            partial(_allocation, result),
            partial(_constraints, result),
            partial(_risk, result),
            partial(_allocation_chart, result),
            partial(_multiples_chart, session, load_matrix),
        ):
            self._show(publish)

    def _show(self, publish: Callable[[], object]) -> None:
        """Prefect being away, or a picture that cannot be drawn, must not cost the session its result."""
        if not self._watched:
            return
        try:
            publish()
        except Exception as error:
            get_run_logger().warning("not shown in Prefect: %s: %s", type(error).__name__, error)

    def _begin(self) -> None:
        self._progress = create_progress_artifact(0.0, description=f"Session {self._session_id}")  # type: ignore[assignment]
        if self._page_url is not None:
            link = f"{self._page_url.rstrip('/')}/sessions/{self._session_id}"
            create_link_artifact(link, link_text="The session's page", key="session", description=WHERE)
        else:
            words = (
                f"Session `{self._session_id}`\n\n`vcfolio status {self._session_id} --watch` follows it, "
                f"`vcfolio result {self._session_id}` shows what it found."
            )
            _markdown("session", WHERE, words)

    def _update(self, status: SessionStatus) -> None:
        assert self._progress is not None
        update_progress_artifact(self._progress, progress=PERCENT[status], description=f"Session: {status.value}")


def _verdict(result: Result) -> None:
    _markdown("verdict", "Whether what is bought keeps the limits as asked, and what to buy", verdict_markdown(result))


def _allocation(result: Result) -> None:
    rows = [
        {
            "bucket": holding.bucket_id,
            "weight": f"{holding.weight:.2%}",
            "dollars": f"{holding.dollar_amount:,.2f}",
            "deals": holding.deal_count,
            "average check": f"{holding.avg_check_size:,.0f}",
        }
        for holding in sorted(result.allocation, key=lambda holding: (-holding.weight, holding.bucket_id))
    ]
    create_table_artifact(rows, key="allocation", description="The allocation, the largest bucket first")


def _constraints(result: Result) -> None:
    _markdown("constraints", "Every limit, as asked and as enforced", constraints_markdown(result))


def _risk(result: Result) -> None:
    _markdown("risk", "The figures in sample and out of sample", risk_markdown(result))


def _allocation_chart(result: Result) -> None:
    chart = allocation_chart(holdings_of(result.allocation))
    _markdown("allocation-chart", "The allocation by bucket", markdown_image("Allocation", chart))


def _multiples_chart(session: SessionRow, load_matrix: Callable[[], ScenarioMatrix]) -> None:
    multiples = stored_weights(session) @ load_matrix().moic.astype(np.float64)
    winner = simulation_inputs(session.matrix_key_json).winner_multiple
    _markdown(
        "portfolio-multiples",
        "What the portfolio returned in the scenarios that it was optimized on",
        markdown_image("Portfolio multiples", multiples_chart(multiples, winner)),
    )


def _markdown(key: str, description: str, text: str) -> None:
    create_markdown_artifact(text, key=key, description=description)
