"""The matrix of `three_component_v2`: its numbers one by one, and the same bytes however it is made."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.simulation.inputs import Recycling, Regime
from core.simulation.models import model_of
from core.simulation.philox import Purpose
from core.simulation.three_component_v2 import blocks
from core.simulation.three_component_v2.generation import (
    assemble,
    generate,
    matrix_companies,
    out_of_sample,
    simulate_block_range,
)
from core.simulation.three_component_v2.prepared_model import prepare_model
from core.stages import Stage
from tests.unit.core.copula_oracle import Oracle
from tests.unit.core.simulated_fund import REGIMES, copula_inputs, make_bucket

RECYCLING = Recycling(enabled=True, utilization=0.5, cash_multiple=1.1, max_recycle_deals=2)


def test_entries_are_those_of_the_model_written_again_with_another_library() -> None:
    buckets = tuple(
        dataclasses.replace(
            make_bucket(stage, "X", median, p90),
            rounds_to_exit=2.0,
            reserve_ratio=ratio,
            sector_risk_multiplier=risk,
            sector_return_multiplier=returns,
        )
        for stage, median, p90, ratio, risk, returns in (
            (Stage.A, 2.2, 10.5, 0.4, 0.8, 1.2),
            (Stage.C, 1.5, 4.0, 0.3, 1.0, 1.0),
            (Stage.SEED, 3.5, 19.0, 0.5, 1.3, 0.9),
        )
    )
    inputs = copula_inputs(buckets=buckets, scenario_count=1003, terms={"companies_per_bucket": 3})
    moic, oracle = generate(inputs).moic, Oracle(inputs, int(Purpose.MATRIX))
    for position in range(3):
        for scenario in (0, 1, 2, 3, 999, 1000, 1002):
            expected = oracle.entry(position, scenario)
            # The map of ranks is tabulated: right to 3e-6, which moves a multiple by a little more.
            assert moic[position, scenario] == pytest.approx(expected, rel=3e-5, abs=1e-6), (position, scenario)


def test_values_recorded_for_this_version_have_not_changed() -> None:
    inputs = copula_inputs(1, scenario_count=3, recycling=RECYCLING)
    assert generate(inputs).moic.tolist() == [pytest.approx(row, rel=2e-7) for row in RECORDED]


RECORDED = [
    [0.86798095703125, 8.293930053710938, 1.392258882522583],
    [2.96750807762146, 1.3862825632095337, 1.4398927688598633],
    [1.7253527641296387, 3.0092270374298096, 1.3282231092453003],
    [0.8318933248519897, 4.4219069480896, 0.3235596716403961],
]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 2600), st.data())
def test_any_division_into_parts_gives_the_same_bytes(scenarios: int, data: st.DataObject) -> None:
    inputs = copula_inputs(1, scenario_count=scenarios, recycling=RECYCLING, terms={"companies_per_bucket": 2})
    cuts = sorted(data.draw(st.sets(st.integers(1, scenarios), max_size=4)) | {0, scenarios})
    whole = generate(inputs)
    parts = [simulate_block_range(inputs, start, stop) for start, stop in pairwise(cuts)]
    divided = assemble(inputs, parts)
    assert divided.moic.tobytes() == whole.moic.tobytes()
    assert divided.win_probability.tobytes() == whole.win_probability.tobytes()
    assert list(divided.states) == list(whole.states)


def test_a_shorter_matrix_is_the_beginning_of_a_longer_one() -> None:
    short, long = (generate(copula_inputs(1, scenario_count=n)) for n in (300, 1700))
    assert short.moic.tobytes() == np.ascontiguousarray(long.moic[:, :300]).tobytes()
    assert list(short.states) == list(long.states)[:300]


def test_companies_are_added_in_chunks_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = copula_inputs(1, scenario_count=50, terms={"companies_per_bucket": 40})
    whole = generate(inputs).moic.tobytes()
    monkeypatch.setattr(blocks, "COMPANIES_AT_ONCE", 7)
    assert generate(inputs).moic.tobytes() == whole


def test_buckets_companies_and_sectors_that_join_change_no_number_of_the_others() -> None:
    few, many = copula_inputs(1, scenario_count=40), copula_inputs(2, scenario_count=40)
    both = [bucket.key for bucket in many.buckets]
    alone = dataclasses.replace(few, buckets=tuple(b for b in few.buckets if b.key == "A_S00"))
    rows = generate(many).moic[both.index("A_S00")], generate(alone).moic[0]
    assert rows[0].tobytes() == rows[1].tobytes()
    one, three = (out_of_sample(many, 40, np.array([n, 1, *[0] * 6])).moic for n in (1, 3))
    assert one[1].tobytes() == three[1].tobytes()
    assert not one[2:].any()


def test_out_of_sample_scenarios_from_anywhere_are_those_of_the_whole() -> None:
    inputs, companies = copula_inputs(1, recycling=RECYCLING), np.array([1, 2, 3, 0])
    whole = out_of_sample(inputs, 2100, companies)
    part = out_of_sample(inputs, 1200, companies, start=850)
    assert part.moic.tobytes() == np.ascontiguousarray(whole.moic[:, 850:2050]).tobytes()
    assert part.regimes.tolist() == whole.regimes[850:2050].tolist()


def test_out_of_sample_scenarios_share_no_number_with_the_matrix_and_have_its_distribution() -> None:
    inputs = copula_inputs(1, scenario_count=20_000, terms={"companies_per_bucket": 4})
    matrix, other = (
        generate(inputs).moic.astype(np.float64),
        out_of_sample(inputs, 20_000, matrix_companies(inputs)).moic,
    )
    assert (matrix != other.astype(np.float32)).mean() > 0.999
    for statistic in (lambda m: m, lambda m: m < 1.0, lambda m: np.minimum(m, 5.0)):
        first, second = statistic(matrix), statistic(other)
        error = np.sqrt((first.var(axis=1) + second.var(axis=1)) / 20_000)
        assert (np.abs(first.mean(axis=1) - second.mean(axis=1)) < 4.0 * error).all()


def test_another_key_gives_another_matrix() -> None:
    first, second = (generate(copula_inputs(1, matrix_key=key)).moic for key in ("a", "b"))
    assert not (first == second).any()


def test_states_tell_regime_shock_and_the_factor_of_each_sector() -> None:
    inputs = copula_inputs(3, scenario_count=4000)
    matrix = generate(inputs)
    ranges = {regime.name: (regime.shock_min, regime.shock_max) for regime in REGIMES}
    assert all(
        ranges[state.macro_regime][0] <= state.regime_shock <= ranges[state.macro_regime][1] for state in matrix.states
    )
    factors = np.array([state.systematic for state in matrix.states])
    assert factors.shape == (4000, 3)
    assert (np.abs(factors.mean(axis=0)) < 4 / 63).all()
    assert (np.abs(factors.std(axis=0) - 1) < 4 / 89).all()
    names = [state.macro_regime for state in matrix.states]
    for regime in REGIMES:
        spread = np.sqrt(regime.probability * (1 - regime.probability) / 4000)
        assert abs(names.count(regime.name) / 4000 - regime.probability) < 4 * spread


def test_winners_are_counted_by_company_and_not_by_bucket() -> None:
    inputs = copula_inputs(1, scenario_count=3000, terms={"companies_per_bucket": 5}, recycling=RECYCLING)
    single = np.zeros(4)
    prepared = prepare_model(inputs)
    for window in blocks.windows(0, 3000):
        for company in range(5):
            keep = np.full(4, company + 1), np.full(4, company)
            more, less = (blocks.draw_scenarios(prepared, blocks.MATRIX_STREAMS, window, n).winners for n in keep)
            single += more - less
    assert generate(inputs).win_probability.tolist() == (single / 15_000).tolist()


def correlated(values: list[list[float]]) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    return tuple(f"S{i:02d}" for i in range(len(values))), tuple(tuple(row) for row in values)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 0.6, -0.3], [0.6, 1, 0.2], [-0.3, 0.2, 1]],
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
        [[1, 0.707107, 0], [0.707107, 1, 0.707107], [0, 0.707107, 1]],
    ],
    ids=["definite", "one factor", "semidefinite, rounded"],
)
def test_sectors_are_correlated_as_asked(values: list[list[float]]) -> None:
    matrix = generate(copula_inputs(3, scenario_count=20_000, correlation=correlated(values)))
    factors = np.array([state.systematic for state in matrix.states])
    assert np.corrcoef(factors.T) == pytest.approx(np.array(values), abs=4 / np.sqrt(20_000))
    assert factors.std(axis=0) == pytest.approx(np.ones(3), abs=0.02)


def test_recycling_that_does_nothing_leaves_every_bit() -> None:
    off = generate(copula_inputs(1)).moic.tobytes()
    for utilization, deals in ((0.0, 3), (0.7, 0)):
        idle = Recycling(enabled=True, utilization=utilization, cash_multiple=1.7, max_recycle_deals=deals)
        assert generate(copula_inputs(1, recycling=idle)).moic.tobytes() == off


@pytest.mark.parametrize("cap", [0.05, 0.2, 10.0])
def test_recycling_moves_capital_and_makes_none(cap: float) -> None:
    """New companies that return exactly their money leave every multiple as it was."""
    moic = np.array([0.0, 0.9, 1.0, 1.1, 4.0, 300.0])
    terms = Recycling(enabled=True, utilization=0.5, cash_multiple=1.0, max_recycle_deals=3)
    assert blocks.recycled_multiple(moic, np.ones(6), terms, cap) == pytest.approx(moic)
    lost = blocks.recycled_multiple(moic, np.zeros(6), terms, cap)
    assert lost == pytest.approx([0.0, 0.9, 1.0, *(m - min(0.5 * m, cap) for m in (1.1, 4.0, 300.0))])


def test_recycled_money_goes_into_other_companies_of_the_same_bucket_and_scenario() -> None:
    inputs = copula_inputs(1, scenario_count=4000)
    base = generate(inputs).moic.astype(np.float64)
    recycled = generate(dataclasses.replace(inputs, recycling=RECYCLING)).moic.astype(np.float64)
    assert (recycled[base <= 1.0] == base[base <= 1.0]).all()
    withheld = np.where(base > 1.0, np.minimum(0.5 * base, 0.2), 0.0)
    new = np.where(base > 1.0, (recycled - base + withheld) / np.where(base > 1.0, 1.1 * withheld, 1.0), np.nan)
    for multiple, proceeds in zip(base, new, strict=True):
        bought = proceeds[multiple > 1.0]
        # They share the scenario in which the bucket won, so they do better than the bucket's average, and not much.
        error = bought.std() / np.sqrt(bought.size)
        assert multiple.mean() - 4 * error < bought.mean() < 1.6 * multiple.mean() + 4 * error


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"transition_correlation": 1.0}, "transition_correlation"),
        ({"idiosyncratic_share": 0.0}, "variance_shares"),
        ({"sector_share": 0.0}, "variance_shares.sector"),
        ({"outcome_cap": 10.5}, "outcome_cap"),
    ],
)
def test_what_the_model_cannot_have_is_refused_by_name(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        generate(copula_inputs(1, terms=terms))
    assert refused.value.problems[0].field == field


def test_reserves_need_whole_rounds_and_the_outcomes_of_the_stages_they_are_spent_in() -> None:
    seed = make_bucket(Stage.SEED, "X", 3.5, 19.0)
    with pytest.raises(BadInput, match="whole number"):
        generate(copula_inputs(buckets=(dataclasses.replace(seed, rounds_to_exit=1.5),)))
    outcomes = {Stage.SEED: copula_inputs().exit_outcomes[Stage.SEED]}
    with pytest.raises(BadInput, match="exit_outcomes"):
        generate(copula_inputs(buckets=(seed,), exit_outcomes=outcomes))
    generate(copula_inputs(buckets=(dataclasses.replace(seed, reserve_ratio=0.0),), exit_outcomes=outcomes))


def test_multiples_beyond_float32_are_refused_instead_of_becoming_infinite() -> None:
    endless = Recycling(enabled=True, utilization=1.0, cash_multiple=1e300, max_recycle_deals=1)
    with pytest.raises(BadInput, match="float32"):
        generate(copula_inputs(1, recycling=endless))


def test_the_model_needs_its_own_terms_and_is_in_the_registry() -> None:
    with pytest.raises(BadInput, match="copula"):
        generate(dataclasses.replace(copula_inputs(1), copula=None))
    model = model_of("three_component_v2")
    assert model.generate(copula_inputs(1)).moic.shape == (4, 60)
    assert model.matrix_companies(copula_inputs(1)).tolist() == [10] * 4


def test_without_any_variation_of_the_regime_it_plays_no_part() -> None:
    still = (Regime("still", 1.0, 0.2, 0.2),)
    inputs = copula_inputs(1, scenario_count=50, regimes=still, terms={"reference_regimes": still})
    moved = dataclasses.replace(inputs, regimes=(Regime("still", 1.0, -0.9, -0.9),))
    assert generate(inputs).moic.tobytes() == generate(moved).moic.tobytes()
