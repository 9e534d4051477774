"""Expected multiples and chances to win are those of the distribution that is drawn from."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from core.calibration.snapshot import StageTransitions
from core.errors import BadInput
from core.matrix.scenario_set import Expectations
from core.simulation.inputs import Recycling, Regime, SimulationInputs
from core.simulation.models import model_of
from core.simulation.philox import Purpose
from core.stages import Stage
from tests.unit.core.simulated_fund import MULTIPLES, copula_inputs, make_bucket, make_inputs

V1, V2 = "three_component_v1", "three_component_v2"
BOOM = (Regime("boom", 1.0, 0.5, 1.0),)
RECYCLING = Recycling(enabled=True, utilization=0.5, cash_multiple=1.1, max_recycle_deals=3)
STANDARD_ERRORS = 4.5
"""Two-sided, of some twenty comparisons, once in 100,000 runs of another seed."""


def expectations(inputs: SimulationInputs, version: str = V2) -> Expectations:
    return model_of(version).expectations(inputs)


def with_fitted_multiples(inputs: SimulationInputs) -> SimulationInputs:
    """Pareto exponents of 2 and more, so that means of draws settle."""
    buckets = [dataclasses.replace(bucket, p90_moic=2.2 * bucket.median_moic) for bucket in inputs.buckets]
    return dataclasses.replace(inputs, buckets=tuple(buckets))


@pytest.mark.parametrize(
    "inputs",
    [
        copula_inputs(1),
        copula_inputs(1, regimes=BOOM),
        copula_inputs(1, {"transition_correlation": 0.6, "share_group_size": 1.0}),
        copula_inputs(1, winner_multiple=2.0),
        copula_inputs(1, winner_multiple=0.21),
        copula_inputs(1, max_rounds=1),
    ],
    ids=["plain", "another_economy", "one_company_a_group", "many_winners", "losers_that_win", "one_round"],
)
def test_the_second_models_expectations_are_those_of_its_draws(inputs: SimulationInputs) -> None:
    found = expectations(inputs)
    n = 60_000
    drawn = model_of(V2).out_of_sample(inputs, n, np.ones(len(inputs.buckets), dtype=np.int64)).moic
    means, chances = drawn.mean(axis=1), (drawn >= inputs.winner_multiple).mean(axis=1)
    errors = drawn.std(axis=1) / math.sqrt(n)
    assert np.all(np.abs(found.mean - means) <= STANDARD_ERRORS * errors)
    of_chances = np.sqrt(np.maximum(found.win_probability * (1 - found.win_probability), 1e-9) / n)
    assert np.all(np.abs(found.win_probability - chances) <= STANDARD_ERRORS * of_chances)
    assert found.mean_error.max() < 1e-4


def test_what_recycling_adds_is_drawn_to_a_hundredth() -> None:
    inputs = copula_inputs(1, recycling=RECYCLING)
    found = expectations(inputs)
    drawn = model_of(V2).out_of_sample(inputs, 30_000, np.full(4, 10)).moic
    errors = drawn.std(axis=1) / math.sqrt(30_000)
    assert np.all(np.abs(found.mean - drawn.mean(axis=1)) <= STANDARD_ERRORS * np.hypot(errors, found.mean_error))
    assert 0.0 < found.mean_error.max() <= 0.01
    assert np.all(found.mean > expectations(copula_inputs(1)).mean)


def test_recycling_that_buys_nothing_is_exact() -> None:
    idle = dataclasses.replace(RECYCLING, max_recycle_deals=0)
    assert expectations(copula_inputs(1, recycling=idle)).mean.tolist() == expectations(copula_inputs(1)).mean.tolist()


@pytest.mark.parametrize("recycling", [None, RECYCLING], ids=["plain", "recycling"])
@pytest.mark.parametrize("winner_multiple", [1.5, 6.0])
def test_the_first_models_expectations_are_those_of_its_draws(
    recycling: Recycling | None, winner_multiple: float
) -> None:
    inputs = with_fitted_multiples(make_inputs(1, winner_multiple=winner_multiple))
    if recycling is not None:
        inputs = dataclasses.replace(inputs, recycling=recycling)
    found = expectations(inputs, V1)
    n = 200_000
    drawn = model_of(V1).out_of_sample(inputs, n, np.ones(4, dtype=np.int64)).moic
    errors = drawn.std(axis=1) / math.sqrt(n)
    assert np.all(np.abs(found.mean - drawn.mean(axis=1)) <= STANDARD_ERRORS * errors + found.mean_error)
    chances = (drawn >= winner_multiple).mean(axis=1)
    of_chances = np.hypot(np.sqrt(chances * (1 - chances) / n), found.win_error)
    assert np.all(np.abs(found.win_probability - chances) <= STANDARD_ERRORS * of_chances)


def test_the_first_models_mean_has_its_closed_form() -> None:
    """One stage that always exits, no shocks: median 2, exponent 2, so a mean of 2 / sqrt(2) * 2."""
    bucket = make_bucket(Stage.C, "S00", 2.0, 2.0 * math.sqrt(5.0))
    certain = {Stage.C: StageTransitions(exit_rate=1.0, graduate_rate=0.0, failure_rate=0.0)}
    inputs = make_inputs(1, buckets=(bucket,), regimes=(Regime("base", 1.0, 0.0, 0.0),), transitions=certain)
    assert expectations(inputs, V1).mean[0] == pytest.approx(2.0 * math.sqrt(2.0), rel=1e-12)


def test_multiples_without_a_mean_are_refused() -> None:
    assert MULTIPLES[Stage.SEED][1] / MULTIPLES[Stage.SEED][0] > 5.0
    with pytest.raises(BadInput, match=r"Seed_S00\.p90_moic = 19\.0: must be below 5 times the median"):
        expectations(make_inputs(1), V1)


@pytest.mark.parametrize("recycling", [None, RECYCLING], ids=["plain", "recycling"])
def test_buckets_of_one_distribution_have_the_same_bits(recycling: Recycling | None) -> None:
    """Whatever their sector, seed, check and neighbors are."""
    inputs = copula_inputs(3, **({} if recycling is None else {"recycling": recycling}))
    checks = tuple(
        dataclasses.replace(b, initial_check_size=1e6 + k, check_size_cv=0.1 * k) for k, b in enumerate(inputs.buckets)
    )
    other = dataclasses.replace(inputs, matrix_key="another seed", buckets=checks)
    found, again = expectations(inputs), expectations(other)
    for values, same in zip(dataclasses.astuple(found), dataclasses.astuple(again), strict=True):
        by_stage = {bucket.stage: values[k] for k, bucket in enumerate(inputs.buckets)}
        assert [by_stage[bucket.stage] for bucket in inputs.buckets] == values.tolist() == same.tolist()


@pytest.mark.parametrize("version", [V1, V2])
def test_scenarios_of_two_purposes_share_no_number(version: str) -> None:
    inputs = with_fitted_multiples(copula_inputs(1))
    drawn = [
        model_of(version).out_of_sample(inputs, 50, np.full(4, 2), 0, purpose).moic
        for purpose in (Purpose.OUT_OF_SAMPLE, Purpose.RISK, Purpose.TIGHTENING)
    ]
    assert not any(
        np.any((one == other) & (one > 1.0)) for one, other in zip(drawn, [*drawn[1:], drawn[0]], strict=True)
    )
