"""The distribution of `three_component_v2`: what was calibrated comes out, whatever the correlations, within an error.

A crowd is many buckets of one company each in one stage and sector: companies that share a scenario. Companies of a
scenario hang together, so every standard error is that of the scenarios' means, and every bound is four of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from core.arrays import FloatArray
from core.calibration.snapshot import CapTableTerms, StageTransitions
from core.simulation.inputs import Recycling, Regime, SimulationInputs
from core.simulation.three_component_v1_out_of_sample import exit_probability
from core.simulation.three_component_v2.factors import common_distribution, common_factors, common_scores
from core.simulation.three_component_v2.generation import generate, out_of_sample
from core.simulation.three_component_v2.normal import quantile
from core.simulation.three_component_v2.path import path_chances, tilted_failure
from core.stages import Stage
from tests.unit.core.simulated_fund import COPULA, MULTIPLES, TRANSITIONS, copula_inputs, make_bucket

ERRORS = 4.0
"""A true statement fails such a bound once in 16,000 times; seeds are fixed, so it holds or not for good."""

NO_DILUTION = CapTableTerms(dilution_per_round_pct=0.0, option_pool_refresh_pct=0.0, pro_rata_participation_rate=1.0)


def crowd(stage: Stage, companies: int, bucket: dict[str, Any] | None = None, **changes: Any) -> SimulationInputs:
    """`companies` buckets of one company each, without reserves or dilution unless `bucket` and `changes` say so."""
    fields: dict[str, Any] = {"reserve_ratio": 0.0, "check_size_cv": 0.0} | (bucket or {})
    made = dataclasses.replace(make_bucket(stage, "X", *MULTIPLES[stage]), **fields)
    buckets = tuple(dataclasses.replace(made, key=f"{stage}_X{i:03d}") for i in range(companies))
    changes = {"cap_table": NO_DILUTION, "buckets": buckets} | changes
    terms = {"companies_per_bucket": 1} | changes.pop("terms", {})
    return copula_inputs(terms=terms, **changes)


def draw(inputs: SimulationInputs, scenarios: int) -> FloatArray:
    return out_of_sample(inputs, scenarios, np.ones(len(inputs.buckets), dtype=np.int64)).moic


def assert_mean(values: FloatArray, expected: float) -> None:
    """values: (n_companies, n_scenarios) or (n_scenarios,)."""
    by_scenario = values.mean(axis=0) if values.ndim == 2 else values
    error = by_scenario.std(ddof=1) / np.sqrt(by_scenario.size)
    assert abs(by_scenario.mean() - expected) <= ERRORS * error + 1e-12, (by_scenario.mean(), expected, error)


DEPENDENCE = [
    {},
    {"transition_correlation": 0.0},
    {"transition_correlation": 0.4},
    {"share_group_size": 1.0},
    {"share_group_size": 1.0, "transition_correlation": 0.9},
    {"regime_share": 0.6, "sector_share": 0.2, "idiosyncratic_share": 0.2},
]


@pytest.mark.parametrize("terms", DEPENDENCE, ids=str)
@pytest.mark.parametrize("stage", list(Stage))
def test_exits_have_the_calibrated_median_and_ninetieth_percentile(stage: Stage, terms: dict[str, Any]) -> None:
    bucket = {"sector_risk_multiplier": 1.2, "sector_return_multiplier": 1.3}
    moic = draw(crowd(stage, 20, bucket, terms=terms), 10_000)
    median, p90 = (1.3 * value for value in MULTIPLES[stage])
    exits = moic > 0.0
    assert_mean(exits * ((moic <= median) - 0.5), 0.0)
    assert_mean(exits * ((moic <= p90) - 0.9), 0.0)
    # Halfway up the tail, where a Pareto distribution of the stated exponent leaves a fiftieth of the exits.
    alpha = 2.2491 / np.log(p90 / median)
    assert_mean(exits * ((moic > p90 * 5 ** (1 / alpha)) - 0.02), 0.0)


@pytest.mark.parametrize("terms", DEPENDENCE, ids=str)
@pytest.mark.parametrize("stage", list(Stage))
def test_the_chance_to_exit_is_exact_whatever_the_correlations(stage: Stage, terms: dict[str, Any]) -> None:
    moic = draw(crowd(stage, 20, terms=terms), 10_000)
    assert_mean((moic > 0.0).astype(np.float64), exit_probability(stage, TRANSITIONS, 10))


@pytest.mark.parametrize("correlation", [0.0, 0.05, 0.5, 0.99])
def test_a_scenarios_tilt_averages_out_to_the_calibrated_chance(correlation: float) -> None:
    """By quadrature over T, with no random number at all."""
    inputs = copula_inputs()
    factors = common_factors(inputs, COPULA)
    distribution = common_distribution(factors.reference, factors.loading)
    score = common_scores(distribution, np.linspace(-4.0, 4.0, 40_001))
    edges = ndtr(score)
    chances = np.array([tilted_failure(quantile(0.63), value, correlation) for value in score])
    mean = float(np.sum((chances[1:] + chances[:-1]) / 2 * np.diff(edges)))
    assert mean == pytest.approx(0.63, abs=1e-7)


@pytest.mark.parametrize("risk", [0.5, 1.0, 1.8])
@pytest.mark.parametrize("terms", [{}, {"transition_correlation": 0.5}], ids=str)
def test_graduations_before_exit_and_before_failure_are_those_of_the_chain(risk: float, terms: dict[str, Any]) -> None:
    """Multiples of 1 and half a stake lost in each round show how often a company graduated; so do its reserves."""
    dear = {stage: outcomes(stage, 100.0, 101.0)[stage] for stage in Stage}
    table = CapTableTerms(dilution_per_round_pct=0.5, option_pool_refresh_pct=0.0, pro_rata_participation_rate=1.0)
    flat = {"median_moic": 1.0, "p90_moic": 1.0 + 1e-9, "sector_risk_multiplier": risk}
    expected = path_chances(Stage.SEED, TRANSITIONS, risk, 10)
    exits = draw(crowd(Stage.SEED, 20, flat, cap_table=table, terms=terms), 10_000)
    reserves = flat | {"median_moic": 100.0, "p90_moic": 101.0, "reserve_ratio": 1.0, "rounds_to_exit": 3.0}
    failures = draw(crowd(Stage.SEED, 20, reserves, cap_table=NO_DILUTION, exit_outcomes=dear, terms=terms), 10_000)
    for j in range(4):
        assert_mean((np.abs(exits - 0.5**j) < 1e-6).astype(np.float64), expected.exits[j])
        assert_mean((np.abs(failures - (3 - j) / 6) < 1e-6).astype(np.float64), expected.failures[j])


ALWAYS_EXIT = {stage: StageTransitions(exit_rate=1.0, graduate_rate=0.0, failure_rate=0.0) for stage in Stage}


def shares(inputs: SimulationInputs, scenarios: int) -> tuple[float, float, float]:
    """(regime, sector, own) shares of the variance of the crowd's mean log multiple, by regression."""
    matrix = generate(dataclasses.replace(inputs, scenario_count=scenarios))
    mean = np.log(matrix.moic.astype(np.float64)).mean(axis=0)
    regime = np.array([state.regime_shock for state in matrix.states])
    sector = np.array([state.systematic[0] for state in matrix.states])
    by_regime, by_sector = (np.corrcoef(mean, factor)[0, 1] ** 2 for factor in (regime, sector))
    return by_regime, by_sector, 1.0 - by_regime - by_sector


def test_shares_of_variance_lie_in_their_bands_for_the_reference_group() -> None:
    regime, sector, own = shares(crowd(Stage.B, 30, transitions=ALWAYS_EXIT), 20_000)
    assert 0.4 <= regime <= 0.6
    assert 0.2 <= sector <= 0.3
    assert 0.2 <= own <= 0.3
    # The multiple is a function of a normal score, nearly linear in its logarithm: nearly the shares that were asked.
    assert (regime, sector, own) == pytest.approx((0.5, 0.25, 0.25), abs=0.03)


def test_a_smaller_group_to_hold_the_shares_for_leaves_companies_less_of_their_own() -> None:
    regime, sector, own = shares(crowd(Stage.B, 1, transitions=ALWAYS_EXIT, terms={"share_group_size": 1.0}), 20_000)
    assert (regime, sector, own) == pytest.approx((0.5, 0.25, 0.25), abs=0.05)


def test_without_common_factors_companies_are_independent_draws_of_the_calibrated_distribution() -> None:
    terms = {"regime_share": 0.0, "sector_share": 0.0, "idiosyncratic_share": 1.0, "transition_correlation": 0.5}
    moic = draw(crowd(Stage.A, 8, terms=terms), 20_000)
    together = np.corrcoef(np.minimum(moic, 20.0))
    assert (np.abs(together - np.eye(8)) < ERRORS / np.sqrt(20_000) + np.eye(8) * 1e-9).all()
    exits = np.sort(moic[moic > 0.0])
    sigma = np.log(10.5 / 2.2) / 1.2815515655446004
    body = exits[exits < 10.5]
    expected = ndtr(np.log(body / 2.2) / sigma)
    # Kolmogorov and Smirnov's distance exceeds 1.95 / sqrt(n) once in a thousand times.
    assert np.abs(np.arange(body.size) / exits.size - expected).max() < 1.95 / np.sqrt(exits.size)
    assert_mean((moic > 0.0).astype(np.float64).ravel(), exit_probability(Stage.A, TRANSITIONS, 10))


def paired(change: dict[str, Any], stage: Stage = Stage.SEED, **other: Any) -> tuple[FloatArray, FloatArray]:
    """Scenario means with and without a change of the bucket or the inputs, from the same numbers."""
    bucket = {"reserve_ratio": 0.5, "rounds_to_exit": 2.0}
    fields = {field.name for field in dataclasses.fields(make_bucket(stage, "X", 1.0, 2.0))}
    inner = {name: value for name, value in change.items() if name in fields}
    outer = {name: value for name, value in change.items() if name not in fields}
    base = {"cap_table": copula_inputs().cap_table} | other
    before = draw(crowd(stage, 30, bucket, **base), 6000).mean(axis=0)
    after = draw(crowd(stage, 30, bucket | inner, **(base | outer)), 6000).mean(axis=0)
    return before, after


def assert_moves(before: FloatArray, after: FloatArray, direction: int) -> None:
    difference = (after - before) * direction
    assert difference.mean() > ERRORS * difference.std(ddof=1) / np.sqrt(difference.size)


def table(**changes: float) -> CapTableTerms:
    return copula_inputs().cap_table.model_copy(update=changes)


def rates(stage: Stage, **changes: float) -> dict[Stage, StageTransitions]:
    return TRANSITIONS | {stage: TRANSITIONS[stage].model_copy(update=changes)}


def outcomes(stage: Stage, median: float, p90: float) -> dict[Stage, Any]:
    known = copula_inputs().exit_outcomes
    return known | {stage: known[stage].model_copy(update={"median_moic": median, "p90_moic": p90})}


MOVES: list[tuple[str, dict[str, Any], int]] = [
    ("failure rate", {"transitions": rates(Stage.SEED, failure_rate=0.36)}, -1),
    ("failure rate of a later stage", {"transitions": rates(Stage.B, failure_rate=0.3)}, -1),
    ("exit rate", {"transitions": rates(Stage.SEED, exit_rate=0.2)}, 1),
    ("graduation rate of a later stage", {"transitions": rates(Stage.C, graduate_rate=0.4)}, 1),
    ("risk multiplier", {"sector_risk_multiplier": 1.3}, -1),
    ("return multiplier", {"sector_return_multiplier": 1.2}, 1),
    ("median and 90th percentile", {"median_moic": 4.5, "p90_moic": 24.0}, 1),
    ("90th percentile", {"p90_moic": 25.0}, 1),
    ("multiples of the stage a tranche is bought in", {"exit_outcomes": outcomes(Stage.A, 3.0, 14.0)}, 1),
    ("dilution", {"cap_table": table(dilution_per_round_pct=0.3)}, -1),
    ("option pool", {"cap_table": table(option_pool_refresh_pct=0.1)}, -1),
    ("participation in rounds that pay", {"cap_table": table(pro_rata_participation_rate=0.0)}, -1),
    ("rounds", {"max_rounds": 3}, -1),
    ("recession", {"regimes": (Regime("recession", 1.0, -1.0, -0.3),)}, -1),
    ("boom", {"regimes": (Regime("boom", 1.0, 0.3, 1.0),)}, 1),
]


@pytest.mark.parametrize(("change", "direction"), [move[1:] for move in MOVES], ids=[move[0] for move in MOVES])
def test_the_mean_moves_the_way_that_the_parameter_says(change: dict[str, Any], direction: int) -> None:
    assert_moves(*paired(change), direction)


@pytest.mark.parametrize(
    "change",
    [{"reserve_ratio": 1.5}, {"rounds_to_exit": 1.0}, {"winner_multiple": 3.0}, {"initial_check_size": 2e6}],
    ids=str,
)
def test_reserves_and_their_rounds_move_the_multiple_and_amounts_and_thresholds_do_not(change: dict[str, Any]) -> None:
    before, after = paired(change)
    assert (before == after).all() == ("winner_multiple" in change or "initial_check_size" in change)


def test_failures_rise_in_a_recession() -> None:
    recession = (Regime("recession", 1.0, -1.0, -0.3),)
    exits = [draw(crowd(Stage.SEED, 30, **change), 6000) > 0.0 for change in ({}, {"regimes": recession})]
    assert_moves(exits[0].mean(axis=0), exits[1].mean(axis=0), -1)


def test_other_reference_regimes_make_the_same_regimes_good_or_bad_news() -> None:
    gloomy = (Regime("gloom", 1.0, -1.0, 0.0),)
    before = draw(crowd(Stage.SEED, 30), 6000).mean(axis=0)
    after = draw(crowd(Stage.SEED, 30, terms={"reference_regimes": gloomy}), 6000).mean(axis=0)
    assert_moves(before, after, 1)
    # Under its own reference the calibrated marginals hold again.
    moic = draw(crowd(Stage.SEED, 20, regimes=gloomy, terms={"reference_regimes": gloomy}), 10_000)
    assert_mean((moic > 0.0) * ((moic <= 3.5) - 0.5), 0.0)


def spread(inputs: SimulationInputs) -> float:
    """Standard deviation over scenarios of the crowd's mean, large multiples cut."""
    return float(np.minimum(draw(inputs, 8000), 20.0).mean(axis=0).std())


@pytest.mark.parametrize(
    ("terms", "ratio"),
    [
        ({"share_group_size": 1.0}, 1.5),
        ({"transition_correlation": 0.5}, 1.5),
        ({"regime_share": 0.6, "sector_share": 0.2, "idiosyncratic_share": 0.2}, 1.03),
        ({"regime_share": 0.4, "sector_share": 0.3, "idiosyncratic_share": 0.3}, 0.97),
    ],
    ids=str,
)
def test_dependence_widens_what_a_crowd_returns(terms: dict[str, Any], ratio: float) -> None:
    """Ratios of standard deviations; each is known to 1.6% from 8,000 scenarios, and the numbers are the same."""
    found = spread(crowd(Stage.SEED, 30, terms=terms)) / spread(crowd(Stage.SEED, 30))
    assert found > ratio if ratio > 1 else found < ratio


def test_sector_share_binds_companies_of_a_sector_and_regime_share_all() -> None:
    def together(terms: dict[str, Any]) -> tuple[float, float]:
        """Correlation within a sector, and between two."""
        inputs = crowd(Stage.B, 20, transitions=ALWAYS_EXIT, terms={"share_group_size": 1.0} | terms)
        halves = tuple(
            dataclasses.replace(bucket, sector="X" if i < 10 else "Y") for i, bucket in enumerate(inputs.buckets)
        )
        logs = np.log(draw(dataclasses.replace(inputs, buckets=halves), 10_000))
        found = np.corrcoef(logs)
        return float(found[0, 1:10].mean()), float(found[:10, 10:].mean())

    within, between = together({})
    assert within == pytest.approx(0.75, abs=0.02)
    assert between == pytest.approx(0.5, abs=0.03)
    less_regime = together({"regime_share": 0.4, "sector_share": 0.3, "idiosyncratic_share": 0.3})
    assert less_regime == (pytest.approx(0.7, abs=0.02), pytest.approx(0.4, abs=0.03))


def test_correlated_sectors_move_together() -> None:
    both = copula_inputs(2, terms={"share_group_size": 1.0}, transitions=ALWAYS_EXIT)
    labels = ("S00", "S01")
    found = []
    for rho in (-0.9, 0.0, 0.9):
        inputs = dataclasses.replace(both, correlation=(labels, ((1.0, rho), (rho, 1.0))))
        logs = np.log(draw(inputs, 10_000))
        found.append(float(np.corrcoef(logs[0], logs[1])[0, 1]))
    assert found == pytest.approx([0.5 - 0.225, 0.5, 0.5 + 0.225], abs=0.04)


def test_more_companies_in_a_bucket_and_more_equal_checks_make_it_steadier() -> None:
    def width(companies: int, cv: float) -> float:
        inputs = crowd(Stage.C, 1, {"check_size_cv": cv}, terms={"companies_per_bucket": companies})
        tenth, ninetieth = np.quantile(out_of_sample(inputs, 8000, np.array([companies])).moic, [0.1, 0.9])
        return float(ninetieth - tenth)

    assert width(20, 0.3) < 0.8 * width(5, 0.3)
    assert width(20, 0.0) < 0.9 * width(20, 2.0)


@pytest.mark.parametrize("cap", [20.0, 250.0])
def test_no_company_returns_more_than_the_cap_allows(cap: float) -> None:
    wild = {"p90_moic": 19.9, "median_moic": 0.5, "reserve_ratio": 0.5, "rounds_to_exit": 2.0}
    moic = draw(crowd(Stage.SEED, 40, wild, terms={"outcome_cap": cap}), 5000)
    assert moic.max() <= (cap * (1 + 0.5) + 0.0) / 1.5 + 1e-9
    assert moic.max() > 0.6 * cap


def test_multiples_of_one_without_dilution_conserve_the_capital() -> None:
    """Whatever reserves and recycling do. The 90th percentile must exceed the median, here by 1e-9."""
    flat = {"median_moic": 1.0, "p90_moic": 1.0 + 1e-9, "reserve_ratio": 0.7, "rounds_to_exit": 2.0}
    made = {stage: outcomes(stage, 1.0, 1.0 + 1e-9)[stage] for stage in Stage}
    everyone = {stage: StageTransitions(exit_rate=0.3, graduate_rate=0.7, failure_rate=0.0) for stage in Stage}
    inputs = crowd(
        Stage.SEED,
        10,
        flat | {"check_size_cv": 0.5},
        exit_outcomes=made,
        transitions=everyone,
        cap_table=table(dilution_per_round_pct=0.0, option_pool_refresh_pct=0.0),
        recycling=Recycling(enabled=True, utilization=1.0, cash_multiple=1.0, max_recycle_deals=2),
    )
    assert (generate(dataclasses.replace(inputs, scenario_count=500)).moic == np.float32(1.0)).all()


def test_companies_that_surely_fail_return_their_reserves_alone() -> None:
    doomed = {stage: StageTransitions(exit_rate=0.0, graduate_rate=0.0, failure_rate=1.0) for stage in Stage}
    inputs = copula_inputs(1, transitions=doomed)
    moic = generate(inputs).moic
    assert np.unique(moic).tolist() == [np.float32(0.5 / 1.5)]


probability = st.floats(0.0, 1.0)


@st.composite
def admissible(draw_one: st.DrawFn) -> SimulationInputs:
    """Anything that validation admits, at its ends, too."""

    def chain() -> StageTransitions:
        exit_rate = draw_one(probability)
        graduate = draw_one(st.floats(0.0, 1.0 - exit_rate))
        return StageTransitions(
            exit_rate=exit_rate,
            graduate_rate=graduate,
            failure_rate=draw_one(st.floats(0.0, 1.0 - exit_rate - graduate)),
        )

    median = draw_one(st.floats(1e-6, 100.0))
    bucket = {
        "median_moic": median,
        "p90_moic": median * draw_one(st.floats(1.0001, 1.2)),
        "reserve_ratio": draw_one(st.floats(0.0, 1e6)),
        "check_size_cv": draw_one(st.floats(0.0, 100.0)),
        "rounds_to_exit": float(draw_one(st.integers(0, 5))),
        "sector_risk_multiplier": draw_one(st.floats(1e-6, 1e6)),
        "sector_return_multiplier": draw_one(st.floats(1e-6, 2.0)),
    }
    low = draw_one(st.floats(-1.0, 1.0))
    regimes = (Regime("r", 1.0, low, draw_one(st.floats(low, 1.0))),)
    return crowd(
        draw_one(st.sampled_from(list(Stage))),
        2,
        bucket,
        transitions={stage: chain() for stage in Stage},
        cap_table=CapTableTerms(
            dilution_per_round_pct=draw_one(st.floats(0.0, 0.999999)),
            option_pool_refresh_pct=draw_one(st.floats(0.0, 0.999999)),
            pro_rata_participation_rate=draw_one(probability),
        ),
        regimes=regimes,
        max_rounds=draw_one(st.integers(1, 100)),
        recycling=Recycling(draw_one(st.booleans()), draw_one(probability), 1.5, draw_one(st.integers(0, 5))),
        terms={
            "companies_per_bucket": draw_one(st.integers(1, 3)),
            "share_group_size": draw_one(st.floats(1.0, 10_000.0)),
            "transition_correlation": draw_one(st.floats(0.0, 0.999999)),
            "reference_regimes": draw_one(st.sampled_from([COPULA.reference_regimes, regimes])),
        },
    )


@settings(max_examples=60, deadline=None)
@given(admissible())
def test_whatever_is_admitted_gives_finite_multiples_that_are_not_negative(inputs: SimulationInputs) -> None:
    moic = generate(inputs).moic
    assert np.isfinite(moic).all()
    assert (moic >= 0.0).all()
