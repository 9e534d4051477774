"""Numbers in the matrix key are rounded to six decimals, and stay what they must be: sums of one, no negative zero."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.calibration.snapshot import StageTransitions
from core.canonical import round6
from core.matrix.key import simulation_inputs
from core.request.normalize import normalize
from core.stages import Stage
from tests.unit.core.examples import (
    example_normalized,
    example_request,
    example_snapshot,
    leaves,
)


@settings(deadline=None)
@given(st.recursive(st.floats() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)))
def test_rounding_is_idempotent_and_knows_no_negative_zero(value):
    once = round6(value)
    assert repr(round6(once)) == repr(once)
    assert not any(isinstance(leaf, float) and repr(leaf) == "-0.0" for _, leaf in leaves(once))


def test_rounding_goes_into_lists_maps_and_tuples_and_leaves_whole_numbers_and_truth_values_alone():
    assert round6({"a": [1.23456789, (-1e-9,)], "b": True, "c": 10**30}) == {
        "a": [1.234568, [0.0]],
        "b": True,
        "c": 10**30,
    }


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=9).filter(any),
    st.floats(-9e-7, 9e-7),
    st.randoms(use_true_random=False),
)
def test_rounded_probabilities_sum_to_one_and_stay_near_what_was_asked(weights, slip, rng):
    probabilities = [weight / sum(weights) for weight in weights]
    at = rng.randrange(len(probabilities))
    probabilities[at] = min(max(probabilities[at] + slip, 0.0), 1.0)
    assume(abs(math.fsum(probabilities) - 1) <= 1e-6)
    listed = [
        {"name": f"r{i}", "probability": probability, "shockRanges": {"min": 0, "max": 1}}
        for i, probability in enumerate(probabilities)
    ]
    inputs = simulation_inputs(example_normalized(scenarioGenConfig={"regimeConfig": {"regimes": listed}}).key_document)
    rounded = {regime.name: regime.probability for regime in inputs.regimes}
    assert sum(Fraction(round(probability * 10**6), 10**6) for probability in rounded.values()) == 1
    for i, probability in enumerate(probabilities):
        assert rounded[f"r{i}"] >= 0
        assert rounded[f"r{i}"] == round(rounded[f"r{i}"], 6)
        assert rounded[f"r{i}"] == pytest.approx(probability, abs=1e-6 * (1 + len(probabilities)))


def test_the_last_regime_in_name_order_takes_the_remainder():
    listed = [{"name": name, "probability": 0.333333, "shockRanges": {"min": 0, "max": 1}} for name in ("c", "a", "b")]
    document = example_normalized(scenarioGenConfig={"regimeConfig": {"regimes": listed}}).key_document
    probabilities = document["policy_params"]["scenario_gen_config"]["regime_probabilities"]
    assert probabilities == {"a": 0.333333, "b": 0.333333, "c": 0.333334}


def test_a_last_regime_with_nothing_to_give_lets_the_one_before_give_way():
    listed = [
        {"name": name, "probability": probability, "shockRanges": {"min": 0, "max": 1}}
        for name, probability in (("a", 0.5), ("b", 0.500001), ("c", 0))
    ]
    document = example_normalized(scenarioGenConfig={"regimeConfig": {"regimes": listed}}).key_document
    probabilities = document["policy_params"]["scenario_gen_config"]["regime_probabilities"]
    assert probabilities == {"a": 0.5, "b": 0.5, "c": 0.0}


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_rounded_rates_never_sum_above_one(exit_weight, graduate_weight, failure_weight):
    total = exit_weight + graduate_weight + failure_weight
    assume(total)
    rates = StageTransitions(
        exit_rate=exit_weight / total, graduate_rate=graduate_weight / total, failure_rate=failure_weight / total
    )
    snapshot = example_snapshot(transition_stats=dict.fromkeys(Stage, rates))
    for seen in simulation_inputs(normalize(example_request(), snapshot).key_document).transitions.values():
        millionths = [round(rate * 10**6) for rate in (seen.exit_rate, seen.graduate_rate, seen.failure_rate)]
        assert 999_998 <= sum(millionths) <= 1_000_000
        assert seen.exit_rate == pytest.approx(rates.exit_rate, abs=2e-6)
        assert seen.failure_rate == pytest.approx(rates.failure_rate, abs=2e-6)
