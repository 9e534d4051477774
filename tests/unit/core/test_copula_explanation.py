"""The explanation of an entry adds up to the matrix, to the last bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.simulation.inputs import Recycling
from core.simulation.three_component_v2.explanation import explain
from core.simulation.three_component_v2.generation import generate
from core.stages import Stage
from tests.unit.core.simulated_fund import copula_inputs

RECYCLING = Recycling(enabled=True, utilization=0.4, cash_multiple=1.2, max_recycle_deals=3)
INPUTS = {
    recycled: copula_inputs(2, scenario_count=1100, recycling=RECYCLING if recycled else copula_inputs().recycling)
    for recycled in (False, True)
}
MATRICES = {recycled: generate(inputs) for recycled, inputs in INPUTS.items()}


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.integers(0, 7), st.integers(0, 1099))
def test_every_entry_is_the_sum_of_its_parts_to_the_last_bit(recycled: bool, row: int, scenario: int) -> None:
    matrix = MATRICES[recycled]
    explanation = explain(INPUTS[recycled], matrix.bucket_keys[row], scenario)
    assert np.float32(explanation.entry).tobytes() == matrix.moic[row, scenario].tobytes()
    assert explanation.entry == float(np.float32(explanation.moic))
    total, weight = 0.0, 0.0
    for company in explanation.companies:
        parts = company.first_check_returned
        for tranche in company.follow_ons:
            assert tranche.returned == tranche.invested * tranche.multiple * tranche.ownership_retained
            parts += tranche.returned
        ratio = explanation.bucket.reserve_ratio
        assert company.moic == (parts + company.unspent) / (1 + ratio)
        assert company.unspent + sum(t.invested for t in company.follow_ons) == pytest.approx(ratio)
        total += company.weight * company.moic
        weight += company.weight
    assert explanation.before_recycling == total / weight
    if explanation.recycled is None:
        assert explanation.moic == explanation.before_recycling
    else:
        again = explanation.recycled
        assert (
            explanation.moic == explanation.before_recycling - again.withheld + again.withheld * 1.2 * again.mean_moic
        )
    state = matrix.states[scenario]
    assert (explanation.regime, explanation.regime_shock) == (state.macro_regime, state.regime_shock)
    assert explanation.sector_factor == state.systematic[int(explanation.bucket.sector[1:])]


def test_an_explanation_says_how_each_company_ended() -> None:
    explanations = [explain(INPUTS[False], "Seed_S00", scenario) for scenario in range(200)]
    companies = [company for explanation in explanations for company in explanation.companies]
    exits = [company for company in companies if company.exits]
    assert len(companies) == 2000
    assert 0.3 < len(exits) / 2000 < 0.45
    for company in companies:
        assert company.last_stage == list(Stage)[company.graduations]
        assert len(company.follow_ons) == min(company.graduations, 3)
        assert company.ownership_retained == pytest.approx((0.82 * 0.96) ** company.graduations)
        if not company.exits:
            assert (company.rank, company.exit_multiple, company.first_check_returned) == (None, None, 0.0)
            assert all(tranche.returned == 0.0 for tranche in company.follow_ons)
    median = [company.exit_multiple > 3.5 for company in exits if company.exit_multiple is not None]
    assert [company.rank > 0.5 for company in exits if company.rank is not None] == median
    assert np.mean([company.check_usd for company in companies]) == pytest.approx(1e6, rel=0.03)
    assert np.std([company.check_usd for company in companies]) == pytest.approx(3e5, rel=0.1)
    assert {round(explanation.calibrated_failure_chance, 4) for explanation in explanations} == {0.6297}
    assert len({explanation.failure_chance for explanation in explanations}) == 200


@pytest.mark.parametrize(
    ("bucket", "scenario", "field"),
    [("Seed_S09", 0, "bucket"), ("Seed_S00", 1100, "scenario"), ("A_S00", -1, "scenario")],
)
def test_what_the_matrix_does_not_have_is_refused(bucket: str, scenario: int, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        explain(INPUTS[False], bucket, scenario)
    assert refused.value.problems[0].field == field


def test_recycling_that_does_nothing_is_not_told() -> None:
    idle = dataclasses.replace(INPUTS[True], recycling=dataclasses.replace(RECYCLING, max_recycle_deals=0))
    assert all(explain(idle, "A_S00", scenario).recycled is None for scenario in range(20))
