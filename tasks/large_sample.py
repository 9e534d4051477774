"""The portfolio of a completed session in so many fresh scenarios that they are drawn part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from core.errors import BadInput
from core.matrix.key import simulation_inputs
from core.portfolio.documents import deals_from, limits_from, weights_from
from core.request.normalized_config import NormalizedConfig
from core.risk.comparison_portfolios import EQUAL_WEIGHTS
from core.risk.large_sample import (
    Judged,
    PartTallies,
    Yardstick,
    large_sample_report,
    parts_of_sample,
    tally_part,
)
from core.session_states import SessionStatus
from core.simulation.parts import Part
from db.sessions import SessionRow
from db.settings import Settings
from tasks.parts import Progress, in_parts

FEWEST_SCENARIOS, MOST_SCENARIOS = 1_000, 100_000_000


def require_scenarios(scenarios: int) -> None:
    """Raises BadInput for a number that is out of range."""
    if not FEWEST_SCENARIOS <= scenarios <= MOST_SCENARIOS:
        raise BadInput.of("scenarios", scenarios, f"must be {FEWEST_SCENARIOS:,} to {MOST_SCENARIOS:,}")


def judge_in_large_sample(
    session: SessionRow, scenarios: int, settings: Settings, progress: Progress
) -> dict[str, Any]:
    """The document of docs/reference/result.md, "Millions of scenarios". Called within a flow run.

    Raises BadInput for a session that is not completed.
    """
    if session.status is not SessionStatus.COMPLETED:
        raise BadInput.of("session", str(session.session_id), f"must be completed; it is {session.status.value}")
    assert session.allocation is not None
    inputs = simulation_inputs(session.matrix_key_json)
    judged = _judged(session.normalized_config, session.allocation)
    shared = {
        "config": session.normalized_config,
        "allocation": session.allocation,
        "key_document": session.matrix_key_json,
    }
    parts = parts_of_sample(judged, inputs, scenarios)
    tallies: list[PartTallies] = in_parts(sample_part, parts, shared, settings, progress)
    report = large_sample_report(inputs, _yardstick(session), tallies)
    return {"sessionId": str(session.session_id), **report}


@task(name="sample-part", task_run_name="scenarios {start} to {stop}", cache_policy=NO_CACHE, persist_result=False)
def sample_part(
    config: Mapping[str, Any],
    allocation: list[Mapping[str, Any]],
    key_document: Mapping[str, Any],
    start: int,
    stop: int,
) -> PartTallies:
    return tally_part(_judged(config, allocation), simulation_inputs(key_document), Part(start, stop))


def _judged(config: Mapping[str, Any], allocation: list[Mapping[str, Any]]) -> Judged:
    normalized = NormalizedConfig.model_validate(config)
    return Judged(normalized, weights_from(allocation, normalized), deals_from(allocation, normalized))


def _yardstick(session: SessionRow) -> Yardstick:
    assert session.solver_metadata is not None
    assert session.validation_metrics is not None
    limits = limits_from(session.solver_metadata)
    # Where the loss limit was relaxed, the count that was granted says more than the share that was asked for.
    granted = limits.max_losses / int(session.matrix_key_json["key"]["scenario_count"])
    equal = [rival for rival in session.validation_metrics["rivals"] if rival["name"] == EQUAL_WEIGHTS]
    return Yardstick(
        limits=limits,
        granted_losses=max(session.normalized_config["max_loss_probability"], granted),
        in_sample=session.solver_metadata["figures"]["expectedMoic"],
        whole_deals_in_sample=session.validation_metrics["wholeDeals"]["inSample"]["expectedMoic"],
        equal_is_feasible=equal[0]["feasible"] if equal else None,
    )
