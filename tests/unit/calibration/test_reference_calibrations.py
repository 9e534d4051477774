"""The reference calibrations: every figure with its source, and as near to the published distribution as said."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from core.calibration.snapshot import CalibrationSnapshot
from core.request import OptimizationRequest
from core.simulation.inputs import BucketParams, Recycling, Regime, SimulationInputs
from core.simulation.models import model_of
from core.simulation.three_component_v1 import power_law_alpha
from core.stages import Stage
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibration, reference_calibrations
from tests.unit.core.simulated_fund import COPULA

MIX = {Stage.SEED: 0.335, Stage.A: 0.325, Stage.B: 0.172, Stage.C: 0.168}
STATED = {
    "us_venture_2004_2013": [0.615, 0.312, 0.042, 0.018, 0.009, 0.004],
    "us_venture_2004_2013_v2": [0.648, 0.253, 0.059, 0.025, 0.011, 0.004],
}
"""Shares of deals below 1x and in the ranges that begin at 1, 5, 10, 20 and 50, as the provenance says."""

ALL = pytest.mark.parametrize("snapshot", reference_calibrations(), ids=lambda snapshot: snapshot.version)


def figures(document: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all numbers in a document."""
    if isinstance(document, dict):
        return [found for key, value in document.items() for found in figures(value, (*path, key))]
    return [path] if isinstance(document, int | float) else []


@ALL
def test_every_figure_has_its_source_beside_it(snapshot: CalibrationSnapshot) -> None:
    document = snapshot.model_dump(mode="json", exclude={"provenance"})
    paths = figures(document)
    assert len(paths) > 30
    for path in paths:
        source: Any = snapshot.provenance
        for key in path:
            source = source[key]
        assert isinstance(source, str), path
        assert source, path


@ALL
def test_a_reference_calibration_has_every_stage_and_survives_its_storage(snapshot: CalibrationSnapshot) -> None:
    for part in ("transition_stats", "exit_outcomes", "deal_terms"):
        assert set(getattr(snapshot, part)) == set(Stage)
    assert CalibrationSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


@ALL
def test_exit_means_are_finite_and_medians_fall_from_stage_to_stage(snapshot: CalibrationSnapshot) -> None:
    outcomes = [snapshot.exit_outcomes[stage] for stage in Stage]
    if snapshot.exit_outcomes_fitted_for == "three_component_v1":
        assert all(power_law_alpha(outcome.median_moic, outcome.p90_moic) > 1.24 for outcome in outcomes)
    else:
        assert all(2.2491 / math.log(outcome.p90_moic / outcome.median_moic) > 1.3 for outcome in outcomes)
    assert all(earlier.median_moic > later.median_moic for earlier, later in pairwise(outcomes))


@ALL
def test_the_funnel_is_near_the_published_one(snapshot: CalibrationSnapshot) -> None:
    onward = {}
    for stage, rates in snapshot.transition_stats.items():
        onward[stage] = rates.graduate_rate / (rates.exit_rate + rates.graduate_rate + rates.failure_rate)
    assert onward[Stage.SEED] == pytest.approx(0.46, abs=0.015)
    assert onward[Stage.SEED] * onward[Stage.A] * onward[Stage.B] == pytest.approx(0.14, abs=0.015)


@ALL
def test_simulated_deals_are_distributed_as_the_provenance_states(snapshot: CalibrationSnapshot) -> None:
    buckets = tuple(
        BucketParams(
            key=f"{stage}_{stage}",
            stage=stage,
            sector=stage,
            median_moic=snapshot.exit_outcomes[stage].median_moic,
            p90_moic=snapshot.exit_outcomes[stage].p90_moic,
            reserve_ratio=0.0,
            initial_check_size=1e6,
            check_size_cv=0.0,
            rounds_to_exit=0.0,
            sector_risk_multiplier=1.0,
            sector_return_multiplier=1.0,
        )
        for stage in sorted(Stage)
    )
    inputs = SimulationInputs(
        matrix_key="matrix_v1.2_benchmark",
        scenario_count=1,
        buckets=buckets,
        transitions=snapshot.transition_stats,
        exit_outcomes=snapshot.exit_outcomes,
        regimes=(Regime("base", 0.5, -0.3, 0.3), Regime("boom", 0.25, 0.3, 1.0), Regime("recession", 0.25, -1.0, -0.3)),
        recycling=Recycling(enabled=False, utilization=0.0, cash_multiple=1.0, max_recycle_deals=0),
        cap_table=snapshot.cap_table,
        max_rounds=10,
        winner_multiple=10.0,
        correlation=None,
        copula=COPULA,
    )
    model = model_of(str(snapshot.exit_outcomes_fitted_for))
    moic = model.out_of_sample(inputs, 40_000, np.ones(4, dtype=np.int64)).moic
    weights = np.array([MIX[bucket.stage] for bucket in buckets])
    at_least = [float(weights @ (moic >= edge).mean(axis=1)) for edge in (1, 5, 10, 20, 50)]
    shares = -np.diff([1.0, *at_least, 0.0])
    # Standard errors are below .002; the stated shares are rounded to .001.
    assert shares == pytest.approx(STATED[snapshot.version], abs=0.006)


def test_reference_calibrations_name_the_model_that_they_were_fitted_for_and_the_default_is_for_the_default_model() -> (
    None
):
    fitted = {snapshot.version: snapshot.exit_outcomes_fitted_for for snapshot in reference_calibrations()}
    assert fitted == {
        "us_venture_2004_2013": "three_component_v1",
        "us_venture_2004_2013_v2": "three_component_v2",
    }
    assert fitted[DEFAULT_REFERENCE] == OptimizationRequest.model_fields["model_version"].default
    # What was completed from the first reference calibration is older than the field that says so.
    completed = reference_calibration().model_copy(
        update={"version": "own", "benchmark_version": "us_venture_2004_2013", "fitted_for": None}
    )
    assert completed.exit_outcomes_fitted_for == "three_component_v1"
