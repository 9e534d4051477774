"""What validation says of an allocation is true of it: on the matrix, against the greedy portfolio, out of sample."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput, Cancelled
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.dollars import whole_deals
from core.portfolio.limits import Limits
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.result.build import validation_of
from core.risk.greedy import greedy_portfolio
from core.risk.intervals import Interval, bootstrap, resampled_cvar, resampled_mean, wilson
from core.risk.measures import cvar
from core.risk.out_of_sample import Estimate, at_least, at_most
from core.risk.recheck import recheck
from core.risk.validate import ValidationMetrics, validate
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.simulation.three_component_v1_out_of_sample import out_of_sample
from core.stages import Stage
from tests.unit.core.simulated_fund import config_of, deal_bucket, make_bucket, make_config, make_inputs, matrix_of

TWO_BUCKETS = (deal_bucket(Stage.A, "X"), deal_bucket(Stage.SEED, "Y"))
TWO_ROWS = {"A_X": [2.0, 0.5, 1.0, 1.0], "Seed_Y": [0.0, 0.0, 12.0, 1.0]}


def limits_of(config: NormalizedConfig, **changes: Any) -> Limits:
    return dataclasses.replace(Limits.of(config, 4), **changes)


# --- every limit again -------------------------------------------------------------------------------------------


def test_a_portfolio_within_all_limits_is_feasible_without_violations() -> None:
    config = make_config(TWO_BUCKETS)
    check = recheck(np.array([0.5, 0.5]), matrix_of(TWO_ROWS, [0.0, 0.25]), config, Limits.of(config, 4))
    assert check.feasible
    assert (check.max_loss_violation, check.cvar_violation, check.winner_count_violation) == (0, 0, 0)
    assert (check.budget_violation, check.bound_violations) == (0, {})


@pytest.mark.parametrize(
    ("changes", "name", "amount"),
    [
        # Multiples 1, .25, 6.5 and 1; 100 deals of $1M, 12.5 winners.
        ({"max_losses": 0}, "max_loss_violation", 0.25),
        ({"cvar_limit": 0.5}, "cvar_violation", 0.25),
        ({"min_expected_winners": 13.0}, "winner_count_violation", 0.5),
        ({"bucket_max_weight": 0.4}, ["bucket_max_weight:A_X", "bucket_max_weight:Seed_Y"], 0.1),
        ({"sector_bounds": {"X": WeightBounds(max=0.45)}}, {"sector_max_weight:X"}, 0.05),
        ({"sector_bounds": {"X": WeightBounds(min=0.6)}}, {"sector_min_weight:X"}, 0.1),
        ({"stage_bounds": {Stage.SEED: WeightBounds(max=0.2)}}, {"stage_max_weight:Seed"}, 0.3),
        ({"stage_bounds": {Stage.B: WeightBounds(min=0.2)}}, {"stage_min_weight:B"}, 0.2),
    ],
    ids=str,
)
def test_each_broken_limit_is_named_with_the_amount_and_makes_the_portfolio_infeasible(
    changes: dict[str, Any], name: str | set[str], amount: float
) -> None:
    config = make_config(TWO_BUCKETS)
    limits = limits_of(config, **changes)
    check = recheck(np.array([0.5, 0.5]), matrix_of(TWO_ROWS, [0.0, 0.25]), config, limits)
    assert not check.feasible
    if isinstance(name, str):
        assert getattr(check, name) == pytest.approx(amount)
        assert check.bound_violations == {}
    else:
        assert check.bound_violations == pytest.approx(dict.fromkeys(name, amount))


def test_weights_that_are_negative_or_do_not_add_up_break_the_program() -> None:
    config = make_config(TWO_BUCKETS)
    matrix = matrix_of(TWO_ROWS)
    negative = recheck(np.array([1.1, -0.1]), matrix, config, Limits.of(config, 4))
    assert negative.bound_violations == pytest.approx({"bucket_max_weight:A_X": 0.1, "bucket_min_weight:Seed_Y": 0.1})
    short = recheck(np.array([0.5, 0.4]), matrix, config, Limits.of(config, 4), cash_weight=0.1)
    assert short.budget_violation == pytest.approx(0.1)
    assert not short.feasible


def test_what_lies_within_the_solvers_tolerance_is_no_violation() -> None:
    config = make_config(TWO_BUCKETS)
    limits = limits_of(config, bucket_max_weight=0.5 - 9e-8, cvar_limit=0.75 - 9e-8, min_expected_winners=12.5 + 1e-6)
    assert recheck(np.array([0.5, 0.5]), matrix_of(TWO_ROWS, [0.0, 0.25]), config, limits).feasible


# --- the greedy portfolio --------------------------------------------------------------------------------------------


def three_stage_config(**changes: Any) -> tuple[NormalizedConfig, ScenarioMatrix]:
    buckets = (deal_bucket(Stage.A, "X"), deal_bucket(Stage.A, "Y"), deal_bucket(Stage.SEED, "X", 3e7))
    rows = {"A_X": [3.0, 3.0], "A_Y": [2.0, 2.0], "Seed_X": [0.0, 8.0]}
    return make_config(buckets, **changes), matrix_of(rows)


def test_greedy_fills_the_best_bucket_first_up_to_bucket_and_stage_maximum() -> None:
    config, matrix = three_stage_config(bucket_max_weight=0.5)
    greedy = greedy_portfolio(matrix, config)
    assert greedy.weights.tolist() == [0.5, 0.0, 0.5]
    assert (greedy.objective, greedy.feasible) == (3.5, True)
    config, matrix = three_stage_config(bucket_max_weight=0.5, stage_bounds={Stage.SEED: WeightBounds(max=0.4)})
    greedy = greedy_portfolio(matrix, config)
    assert greedy.weights == pytest.approx([0.5, 0.1, 0.4])
    assert greedy.objective == pytest.approx(1.5 + 0.2 + 1.6)
    assert greedy.feasible


def test_greedy_buys_no_part_of_a_deal() -> None:
    config, matrix = three_stage_config(stage_bounds={Stage.SEED: WeightBounds(max=0.29)})
    assert greedy_portfolio(matrix, config).weights.tolist() == [1.0, 0.0, 0.0]


def test_greedy_that_cannot_invest_everything_keeps_cash_and_is_infeasible() -> None:
    config, matrix = three_stage_config(
        stage_bounds={Stage.SEED: WeightBounds(max=0.2), Stage.A: WeightBounds(max=0.8)}
    )
    greedy = greedy_portfolio(matrix, config)
    assert greedy.weights.tolist() == [0.8, 0.0, 0.0]
    assert greedy.cash_weight == pytest.approx(0.2)
    assert greedy.objective == pytest.approx(0.8 * 3 + 0.2)
    assert not greedy.feasible


def test_greedy_knows_no_risk_limits_and_says_when_it_breaks_one() -> None:
    config, matrix = three_stage_config(max_loss_probability=0.4)
    greedy = greedy_portfolio(matrix, config)
    assert greedy.weights.tolist() == [0.0, 0.0, 1.0]
    assert not greedy.feasible


# --- intervals ---------------------------------------------------------------------------------------------------


@given(trials=st.integers(1, 10_000), data=st.data())
def test_wilsons_bounds_are_the_shares_whose_score_test_is_just_significant(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    interval = wilson(successes, trials)
    share = successes / trials
    assert 0 <= interval.low <= share <= interval.high <= 1
    for bound in (interval.low, interval.high):
        if 0 < bound < 1:
            score = (share - bound) / math.sqrt(bound * (1 - bound) / trials)
            assert abs(score) == pytest.approx(1.959963984540054, rel=1e-6)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_have_no_interval(successes: int, trials: int) -> None:
    with pytest.raises(BadInput):
        wilson(successes, trials)


def test_the_bootstrap_of_a_mean_is_about_1_96_standard_errors_wide_on_both_sides() -> None:
    values = np.random.Philox(key=1).random_raw(3000) / 2.0**64
    interval = bootstrap({"mean": resampled_mean(values)}, 3000, "k")["mean"]
    error = values.std() / math.sqrt(3000)
    # The quantiles of 1,000 replicates are themselves known to about 5 to 10%.
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


@given(data=st.data(), confidence=st.floats(0, 0.99))
def test_a_resampled_cvar_is_the_cvar_of_the_resampled_losses(data: st.DataObject, confidence: float) -> None:
    losses = np.array(data.draw(st.lists(st.floats(0, 1) | st.just(0.0), min_size=1, max_size=20)))
    drawn = data.draw(st.lists(st.integers(0, losses.size - 1), min_size=losses.size, max_size=losses.size))
    counts = np.bincount(drawn, minlength=losses.size)[np.newaxis]
    resampled = resampled_cvar(losses, confidence)(counts)
    assert resampled.tolist() == pytest.approx([cvar(losses[drawn], confidence)], abs=1e-12)
    assert resampled_mean(losses)(counts).tolist() == pytest.approx([losses[drawn].mean()])


def test_the_bootstrap_is_the_same_for_the_same_key_in_any_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(500.0)
    first = bootstrap({"mean": resampled_mean(values)}, 500, "k")
    assert bootstrap({"mean": resampled_mean(values)}, 500, "other") != first
    monkeypatch.setattr("core.risk.intervals.CELLS_AT_ONCE", 7 * 500)
    assert bootstrap({"mean": resampled_mean(values)}, 500, "k") == first


def test_about_95_of_100_bootstrap_intervals_cover_the_truth() -> None:
    covered = 0
    for trial in range(100):
        values = np.random.Philox(key=trial).random_raw(200) / 2.0**64
        interval = bootstrap({"mean": resampled_mean(values)}, 200, f"trial {trial}", replicates=400)["mean"]
        covered += interval.low <= 0.5 <= interval.high
    # Four standard errors of a binomial below .95; 100 of 100 has a chance of .6%.
    assert 86 <= covered <= 99


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [(0.1, 0.2, "yes", "no"), (0.1, 0.4, "within_error", "within_error"), (0.35, 0.4, "no", "yes")],
)
def test_a_limit_holds_where_the_whole_interval_does(low: float, high: float, above: str, below: str) -> None:
    middle = (low + high) / 2
    estimate = Estimate(middle, (high - low) / 3.92, Interval(low, high), 1000)
    from_above, from_below = at_most(estimate, 0.3), at_least(estimate, 0.3)
    assert (from_above.holds, from_below.holds) == (above, below)
    assert from_above.violation == pytest.approx(max(0, middle - 0.3))
    assert from_below.violation == pytest.approx(max(0, 0.3 - middle))


# --- the whole validation ----------------------------------------------------------------------------------------


def validated(inputs: SimulationInputs, weights: np.ndarray, **changes: Any) -> ValidationMetrics:
    config = config_of(inputs, **changes)
    matrix = model_of(config.sim_model_version).generate(inputs)
    limits = Limits.of(config, matrix.n_scenarios)
    return validate(config, limits, matrix, inputs, weights=weights, deals=whole_deals(weights, config))


EQUAL = np.full(12, 1 / 12)


def test_out_of_sample_figures_are_those_of_the_fresh_scenarios_recomputed_by_other_means() -> None:
    inputs = make_inputs()
    metrics = validated(inputs, EQUAL, validation_scenarios=1500, cvar_confidence_level=0.9)
    drawn = out_of_sample(inputs, 1500, np.ones(12, dtype=np.int64)).moic
    multiples = EQUAL @ drawn
    found = metrics.out_of_sample
    assert found.scenarios == 1500
    assert found.mean == pytest.approx(multiples.mean())
    assert found.standard_error == pytest.approx(multiples.std(ddof=1) / math.sqrt(1500))
    assert found.optimism_gap == pytest.approx(metrics.in_sample.figures.expected_moic - multiples.mean())
    assert found.loss_probability.value == (multiples < 1 - 1e-9).mean()
    assert found.cvar.value == pytest.approx(np.sort(np.maximum(0, 1 - multiples))[-150:].mean())
    deals_per_bucket = 1e8 / 12 / 1.5e6
    assert found.expected_winners.value == pytest.approx(deals_per_bucket * (drawn >= 10).mean(axis=1).sum())
    for check in (found.loss_probability, found.cvar, found.expected_winners):
        assert check.interval.low <= check.value <= check.interval.high


def test_whole_deals_are_tested_with_as_many_companies_as_are_bought_and_their_cash_at_one() -> None:
    inputs = make_inputs()
    weights = np.array([0.5, 0.3, 0.2] + [0.0] * 9)
    config = config_of(inputs)
    deals = whole_deals(weights, config)
    assert deals.counts[:3].tolist() == [33, 20, 13]
    metrics = validated(inputs, weights, validation_scenarios=1500)
    multiples = deals.cash_weight + deals.weights @ out_of_sample(inputs, 1500, deals.counts).moic
    found = metrics.whole_deals
    assert found.out_of_sample.mean == pytest.approx(multiples.mean())
    assert found.out_of_sample.loss_probability.value == (multiples < 1 - 1e-9).mean()
    wins = (out_of_sample(inputs, 1500, np.ones(12, dtype=np.int64)).moic >= 10).mean(axis=1)
    assert found.out_of_sample.expected_winners.value == pytest.approx(deals.counts @ wins)
    in_sample = deals.cash_weight + deals.weights @ model_of(config.sim_model_version).generate(inputs).moic
    assert found.in_sample.figures.expected_moic == pytest.approx(in_sample.mean())


def test_few_deals_are_riskier_than_many() -> None:
    inputs = make_inputs()
    weights = np.array([1.0] + [0.0] * 11)
    few = validated(inputs, weights, total_fund_size_usd=3e6).whole_deals
    many = validated(inputs, weights, total_fund_size_usd=6e7).whole_deals
    assert (few.deals.counts[0], many.deals.counts[0]) == (2, 40)
    assert few.out_of_sample.loss_probability.interval.low > many.out_of_sample.loss_probability.interval.high


def test_limits_that_clearly_hold_or_fail_out_of_sample_are_called_so() -> None:
    loose = validated(make_inputs(), EQUAL).out_of_sample
    assert [loose.loss_probability.holds, loose.cvar.holds, loose.expected_winners.holds] == ["yes"] * 3
    tight = validated(
        make_inputs(), EQUAL, max_loss_probability=0.0, cvar_limit=0.0, min_expected_winners=60.0
    ).out_of_sample
    assert [tight.loss_probability.holds, tight.cvar.holds, tight.expected_winners.holds] == ["no"] * 3
    assert tight.loss_probability.violation == tight.loss_probability.value > 0


def test_a_relaxed_loss_limit_is_judged_by_the_count_that_was_granted() -> None:
    inputs = make_inputs()
    config = config_of(inputs, max_loss_probability=0.123)
    matrix = model_of(config.sim_model_version).generate(inputs)
    asked = Limits.of(config, 60)
    for limits, expected in ((asked, 0.123), (dataclasses.replace(asked, max_losses=15), 0.25)):
        metrics = validate(config, limits, matrix, inputs, weights=EQUAL, deals=whole_deals(EQUAL, config))
        assert metrics.out_of_sample.loss_probability.limit == expected


def test_relaxed_limits_decide_what_feasible_means() -> None:
    inputs = make_inputs()
    config = config_of(inputs, bucket_max_weight=0.1)
    matrix = model_of(config.sim_model_version).generate(inputs)
    weights = np.array([0.12] + [0.08] * 11)
    deals = whole_deals(weights, config)
    asked = Limits.of(config, 60)
    relaxed = dataclasses.replace(asked, bucket_max_weight=0.12)
    strictly = validate(config, asked, matrix, inputs, weights=weights, deals=deals)
    assert not strictly.in_sample.feasible
    assert strictly.in_sample.bound_violations == pytest.approx({"bucket_max_weight:" + matrix.bucket_keys[0]: 0.02})
    assert validate(config, relaxed, matrix, inputs, weights=weights, deals=deals).in_sample.feasible


@settings(max_examples=3)
@given(key=st.text(max_size=10))
def test_validation_says_the_same_twice_in_plain_json(key: str) -> None:
    inputs = make_inputs(matrix_key=key)
    documents = [validation_of(validated(inputs, EQUAL, validation_scenarios=300)).as_json() for _ in range(2)]
    first, second = (json.dumps(document, allow_nan=False) for document in documents)
    assert first == second


def test_the_document_has_the_names_that_users_read() -> None:
    document = validation_of(validated(make_inputs(), EQUAL, validation_scenarios=300)).as_json()
    assert set(document) == {
        "maxLossViolation",
        "cvarViolation",
        "winnerCountViolation",
        "budgetViolation",
        "boundViolations",
        "feasible",
        "greedyObjective",
        "greedyFeasible",
        "standardErrors",
        "bucketStats",
        "generated",
        "rivals",
        "outOfSample",
        "wholeDeals",
    }
    assert document["outOfSample"]["cvar"].keys() == {
        "value",
        "standardError",
        "low",
        "high",
        "limit",
        "violation",
        "holdsOutOfSample",
        "scenariosToSettle",
    }
    assert document["standardErrors"].keys() == {"expectedMoic", "lossProbability", "cvar", "expectedWinners"}
    assert document["wholeDeals"]["inSample"]["standardErrors"].keys() == document["standardErrors"].keys()
    assert document["wholeDeals"]["dealCount"] == 66
    assert document["wholeDeals"]["uninvestedUsd"] == 1e6


@pytest.mark.parametrize("steps_before", [0, 1, 2, 3])
def test_a_cancelled_validation_stops_before_its_next_step(steps_before: int) -> None:
    inputs = make_inputs()
    config = config_of(inputs, validation_scenarios=300)
    matrix = model_of(config.sim_model_version).generate(inputs)
    seen: list[str] = []
    with pytest.raises(Cancelled):
        validate(
            config,
            Limits.of(config, 60),
            matrix,
            inputs,
            weights=EQUAL,
            deals=whole_deals(EQUAL, config),
            progress=seen.append,
            cancelled=lambda: len(seen) == steps_before,
        )
    assert len(set(seen)) == steps_before


def test_an_overfitted_portfolio_shows_its_optimism() -> None:
    # All buckets are alike; the one that looks best on 60 scenarios only had luck.
    buckets = tuple(make_bucket(Stage.C, f"S{i:02d}", 2.0, 3.0) for i in range(30))
    inputs = make_inputs(buckets=buckets)
    matrix = model_of("three_component_v1").generate(inputs)
    weights = np.zeros(30)
    weights[matrix.moic.mean(axis=1).argmax()] = 1.0
    found = validated(inputs, weights, validation_scenarios=5000).out_of_sample
    assert found.optimism_gap > 4 * found.standard_error
