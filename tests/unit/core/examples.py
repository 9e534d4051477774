"""A small fund, its calibration and its request, for tests that need some and do not care which."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pydantic.alias_generators import to_camel

from core.calibration.snapshot import (
    CalibrationSnapshot,
    CapTableTerms,
    DealTerms,
    ExitOutcome,
    SectorMultipliers,
    StageTransitions,
)
from core.request import OptimizationRequest, parse_request
from core.request.normalize import NormalizedRequest, normalize
from core.stages import Stage

FUND_ID = "6f1c2a9e-3f51-4b7e-9a43-0d6f3b1c7e25"


def example_snapshot(**changes: Any) -> CalibrationSnapshot:
    """A calibration of four stages and the sectors Bio and SaaS. `changes` replace whole fields (snake_case)."""
    fields: dict[str, Any] = {
        "version": "example-1",
        "method": "simple_cohort",
        "transition_stats": {
            Stage.SEED: StageTransitions(exit_rate=0.08, graduate_rate=0.3, failure_rate=0.26),
            Stage.A: StageTransitions(exit_rate=0.12, graduate_rate=0.34, failure_rate=0.17),
            Stage.B: StageTransitions(exit_rate=0.15, graduate_rate=0.29, failure_rate=0.12),
            Stage.C: StageTransitions(exit_rate=0.2, graduate_rate=0.15, failure_rate=0.12),
        },
        "exit_outcomes": {
            Stage.SEED: ExitOutcome(median_moic=3.5, p90_moic=19.0),
            Stage.A: ExitOutcome(median_moic=2.2, p90_moic=10.5),
            Stage.B: ExitOutcome(median_moic=1.9, p90_moic=7.0),
            Stage.C: ExitOutcome(median_moic=1.55, p90_moic=4.4),
        },
        "deal_terms": {
            Stage.SEED: DealTerms(initial_check_size=1e6, check_size_cv=0.3, reserve_ratio=0.5, rounds_to_exit=4),
            Stage.A: DealTerms(initial_check_size=2e6, check_size_cv=0.25, reserve_ratio=0.4, rounds_to_exit=3),
            Stage.B: DealTerms(initial_check_size=3e6, check_size_cv=0.2, reserve_ratio=0.25, rounds_to_exit=2),
            Stage.C: DealTerms(initial_check_size=4e6, check_size_cv=0.15, reserve_ratio=0.0, rounds_to_exit=1),
        },
        "cap_table": CapTableTerms(
            dilution_per_round_pct=0.18, option_pool_refresh_pct=0.04, pro_rata_participation_rate=0.8
        ),
        "sector_multipliers": {
            "Bio": SectorMultipliers(risk=1.2, returns=1.1),
            "SaaS": SectorMultipliers(risk=0.9, returns=1.05),
        },
        "sectors": {"Bio": 40, "SaaS": 60},
        "sample_sizes": {Stage.SEED: 60, Stage.A: 30, Stage.B: 15, Stage.C: 8},
        "sample_size": 100,
        "data_window": "2004-01-01..2013-10-01",
        "benchmark_version": None,
    }
    return CalibrationSnapshot(**{**fields, **changes})


def example_document(**changes: Any) -> dict[str, Any]:
    """A request as a user would write it. `changes` replace whole top-level fields, in either spelling."""
    document: dict[str, Any] = {
        "fundId": FUND_ID,
        "totalFundSize": 100_000_000,
        "maxLossProbability": 0.3,
        "cvarLimit": 0.5,
    }
    return document | {to_camel(field): value for field, value in changes.items()}


def example_request(**changes: Any) -> OptimizationRequest:
    """All stages and sectors of the example calibration, defaults everywhere else, and `changes`."""
    return parse_request(example_document(**changes))


def example_normalized(**changes: Any) -> NormalizedRequest:
    """`example_request(**changes)` normalized with the example calibration."""
    return normalize(example_request(**changes), example_snapshot())


def leaves(node: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], object]]:
    """Every value in a JSON document that is neither list nor object, with its place."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if children is None:
        yield place, node
        return
    for key, child in children:
        yield from leaves(child, (*place, key))


def replaced(document: dict[str, Any], place: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A copy of `document` with the value at `place` replaced."""
    changed = copy.deepcopy(document)
    node: Any = changed
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return changed
