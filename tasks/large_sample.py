"""The portfolio of a completed session in so many scenarios out of sample that they are drawn in block ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from core.errors import BadInput
from core.matrix.key import simulation_inputs
from core.request.normalized_config import NormalizedConfig
from core.result.build import deals_from, limits_from, weights_from
from core.result.model import Holding, LimitedEstimate
from core.result.reports import LargeSampleDocument
from core.risk.comparison_portfolios import EQUAL_WEIGHTS
from core.risk.large_sample import (
    Judged,
    JudgedAgainst,
    PartTallies,
    large_sample,
    parts_of_sample,
    tally_part,
)
from core.risk.out_of_sample import Known
from core.session_states import SessionStatus
from core.simulation.block_ranges import BlockRange
from db.results import session_result, stored_allocation, stored_optimization
from db.session_rows import SessionRow
from db.settings import Settings
from tasks.block_ranges import Progress, in_block_ranges

FEWEST_SCENARIOS, MOST_SCENARIOS = 1_000, 100_000_000


def require_scenarios(scenarios: int) -> None:
    """Raises BadInput for a number that is out of range."""
    if not FEWEST_SCENARIOS <= scenarios <= MOST_SCENARIOS:
        raise BadInput.of("scenarios", scenarios, f"must be {FEWEST_SCENARIOS:,} to {MOST_SCENARIOS:,}")


def judge_in_large_sample(
    session: SessionRow, scenarios: int, settings: Settings, progress: Progress
) -> LargeSampleDocument:
    """Called within a flow run.

    Raises BadInput for a session that is not completed.
    """
    if session.status is not SessionStatus.COMPLETED:
        raise BadInput.of("session", str(session.session_id), f"must be completed; it is {session.status.value}")
    inputs = simulation_inputs(session.matrix_key_json)
    allocation = stored_allocation(session)
    judged = _judged(session.normalized_config, allocation)
    shared = {
        "config": session.normalized_config,
        "allocation": allocation,
        "key_document": session.matrix_key_json,
    }
    parts = parts_of_sample(judged, inputs, scenarios)
    tallies: list[PartTallies] = in_block_ranges(sample_block_range, parts, shared, settings, progress)
    return LargeSampleDocument.of(session.session_id, large_sample(inputs, _judged_against(session), tallies))


@task(
    name="sample-block-range", task_run_name="scenarios {start} to {stop}", cache_policy=NO_CACHE, persist_result=False
)
def sample_block_range(
    config: Mapping[str, Any],
    allocation: tuple[Holding, ...],
    key_document: Mapping[str, Any],
    start: int,
    stop: int,
) -> PartTallies:
    return tally_part(_judged(config, allocation), simulation_inputs(key_document), BlockRange(start, stop))


def _judged(config: Mapping[str, Any], allocation: tuple[Holding, ...]) -> Judged:
    normalized = NormalizedConfig.model_validate(config)
    return Judged(normalized, weights_from(allocation, normalized), deals_from(allocation, normalized))


def _judged_against(session: SessionRow) -> JudgedAgainst:
    result = session_result(session)
    limits = limits_from(stored_optimization(session).limits)
    # Where the loss limit was relaxed, the count that was granted says more than the share that was asked for.
    chosen_on = session.normalized_config.get("risk_scenarios") or session.matrix_key_json["key"]["scenario_count"]
    granted = limits.max_losses / chosen_on
    known, whole_deals_known = None, None
    if result.solver.expectations.source == "distribution":
        known = _known(result.validation.out_of_sample.expected_winners)
        whole_deals_known = _known(result.validation.whole_deals.out_of_sample.expected_winners)
    equal = [one for one in result.validation.comparison_portfolios if one.name == EQUAL_WEIGHTS]
    return JudgedAgainst(
        limits=limits,
        granted_losses=max(session.normalized_config["max_loss_probability"], granted),
        in_sample=result.expected_moic,
        whole_deals_in_sample=result.validation.whole_deals.in_sample.expected_moic,
        equal_is_feasible=equal[0].feasible if equal else None,
        known=known,
        whole_deals_known=whole_deals_known,
    )


def _known(winners: LimitedEstimate) -> Known:
    """By the distribution, as the validation stored it."""
    return Known(winners.value, winners.standard_error or 0.0)
