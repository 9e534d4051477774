"""The constraint report says of every limit what was asked, what is, and whether that will do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.relax import RelaxedBound
from core.portfolio.report import ConstraintStatus, constraint_report
from core.portfolio.strict import evaluate
from core.request.normalized_config import WeightBounds
from core.stages import Stage
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of

BUCKETS = (deal_bucket(Stage.A, "X"), deal_bucket(Stage.SEED, "X"), deal_bucket(Stage.SEED, "Y"))
# Multiples of the weights below: 0.5, 1, 1.75 and 2.5.
MATRIX = matrix_of(
    {"A_X": [0.5, 1.0, 2.0, 4.0], "Seed_X": [0.5, 1.0, 2.0, 2.0], "Seed_Y": [0.5, 1.0, 1.0, 0.0]}, [0.02, 0.04, 0.0]
)
WEIGHTS = np.array([0.5, 0.25, 0.25])


def report(relaxed: tuple[RelaxedBound, ...] = (), moved: Limits | None = None, **asked: Any) -> dict[str, Any]:
    config = make_config(BUCKETS, **asked)
    limits = moved or Limits.of(config, 4)
    figures = evaluate(WEIGHTS, MATRIX, config)
    entries = constraint_report(PortfolioProblem.of(config, MATRIX), limits, WEIGHTS, figures, relaxed)
    assert len({entry.constraint_id for entry in entries}) == len(entries)
    return {entry.constraint_id: entry for entry in entries}


def figures_of(status: ConstraintStatus) -> tuple[float, float, float]:
    return status.required, status.actual, status.slack


def test_the_risk_limits_and_winners_are_always_there_and_bounds_only_where_they_were_asked_for() -> None:
    assert list(report()) == ["p_loss_max", "cvar_max", "expected_winners_min"]
    bounds = {"sector_bounds": {"X": WeightBounds(min=0.1)}, "stage_bounds": {Stage.SEED: WeightBounds(max=0.6)}}
    assert list(report(bucket_max_weight=0.6, **bounds))[3:] == [
        "bucket_max_weight",
        "sector_min_weight:X",
        "stage_max_weight:Seed",
    ]


def test_required_actual_and_slack_are_those_worked_out_by_hand() -> None:
    entries = report(
        max_loss_probability=0.5,
        cvar_confidence_level=0.5,
        cvar_limit=0.3,
        min_expected_winners=1.5,
        bucket_max_weight=0.6,
        sector_bounds={"X": WeightBounds(min=0.5, max=0.8)},
        stage_bounds={Stage.A: WeightBounds(max=0.5)},
    )
    # One loss of 0.5 in four scenarios; the worst half is two scenarios; 100 deals at $1M.
    assert figures_of(entries["p_loss_max"]) == (0.5, 0.25, 0.25)
    assert figures_of(entries["cvar_max"]) == pytest.approx((0.3, 0.25, 0.05))
    assert figures_of(entries["expected_winners_min"]) == pytest.approx((1.5, 2.0, 0.5))
    assert figures_of(entries["bucket_max_weight"]) == pytest.approx((0.6, 0.5, 0.1))
    assert figures_of(entries["sector_min_weight:X"]) == pytest.approx((0.5, 0.75, 0.25))
    assert figures_of(entries["sector_max_weight:X"]) == pytest.approx((0.8, 0.75, 0.05))
    assert figures_of(entries["stage_max_weight:A"]) == pytest.approx((0.5, 0.5, 0.0))
    assert all(entry.satisfied for entry in entries.values())
    assert [name for name, entry in entries.items() if entry.binding] == ["stage_max_weight:A"]


def test_the_loss_limit_binds_when_one_more_losing_scenario_would_be_too_many() -> None:
    # 0.3 of four scenarios allows one, and one there is.
    entry = report(max_loss_probability=0.3)["p_loss_max"]
    assert figures_of(entry) == pytest.approx((0.3, 0.25, 0.05))
    assert entry.satisfied
    assert entry.binding
    assert not report(max_loss_probability=0.2)["p_loss_max"].satisfied


def test_a_broken_limit_is_not_satisfied_and_one_within_rounding_is() -> None:
    broken = report(bucket_max_weight=0.4)["bucket_max_weight"]
    assert not broken.satisfied
    assert not broken.binding
    assert broken.slack == pytest.approx(-0.1)
    rounded = report(bucket_max_weight=0.5 - 5e-8)["bucket_max_weight"]
    assert rounded.satisfied
    assert rounded.binding


def test_a_minimum_of_no_winners_does_not_bind_a_fund_without_any() -> None:
    config = make_config(BUCKETS)
    matrix = matrix_of({"A_X": [1.0], "Seed_X": [1.0], "Seed_Y": [1.0]})
    figures = evaluate(WEIGHTS, matrix, config)
    entries = constraint_report(PortfolioProblem.of(config, matrix), Limits.of(config, 1), WEIGHTS, figures)
    assert figures.expected_winners == 0.0
    assert not {entry.constraint_id: entry for entry in entries}["expected_winners_min"].binding


def test_moved_bounds_show_where_they_were_even_where_they_no_longer_limit_anything() -> None:
    asked = {
        "max_loss_probability": 0.1,
        "bucket_max_weight": 0.4,
        "sector_bounds": {"X": WeightBounds(min=0.8), "Y": WeightBounds(max=0.1)},
    }
    limits = Limits.of(make_config(BUCKETS, **asked), 4)
    moved = Limits(
        max_losses=1,
        cvar_limit=limits.cvar_limit,
        cvar_confidence=limits.cvar_confidence,
        min_expected_winners=0.0,
        bucket_max_weight=0.5,
        sector_bounds={"X": WeightBounds(min=0.0), "Y": WeightBounds(max=1.0)},
        stage_bounds={},
    )
    relaxed = (
        RelaxedBound("bucket_max_weight", "bucket_max_weight", "increase", 0.4, 0.5, 0.1, 0.1),
        RelaxedBound("sector_max_weight:Y", "sector_max_weight", "increase", 0.1, 1.0, 0.9, 0.0),
        RelaxedBound("sector_min_weight:X", "sector_min_weight", "decrease", 0.8, 0.0, 0.8, 0.0),
        RelaxedBound("p_loss_max", "p_loss_max", "increase", 0.1, 0.25, 0.15, 0.15),
    )
    entries = report(relaxed, moved, **asked)
    shown = {name: (entry.relaxed_from, entry.required) for name, entry in entries.items()}
    assert shown["bucket_max_weight"] == (0.4, 0.5)
    assert shown["sector_min_weight:X"] == (0.8, 0.0)
    assert shown["sector_max_weight:Y"] == (0.1, 1.0)
    assert shown["p_loss_max"] == (0.1, 0.25)
    assert shown["cvar_max"] == (None, 1.0)
    assert all(entry.satisfied for entry in entries.values())
    assert entries["bucket_max_weight"].binding
