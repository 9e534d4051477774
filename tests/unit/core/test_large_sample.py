"""Millions of scenarios part by part: the same as all at once, and the same as validation has them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.matrix.key import simulation_inputs
from core.portfolio.dollars import whole_deals
from core.portfolio.limits import Limits
from core.result.build import comparison_of, out_of_sample_of
from core.result.reports import LargeSampleDocument
from core.risk.comparison_portfolios import Candidate, comparison_portfolios, equal_weights
from core.risk.large_sample import (
    Judged,
    JudgedAgainst,
    PartTallies,
    large_sample,
    parts_of_sample,
    tally_part,
)
from core.risk.out_of_sample import judge_out_of_sample
from core.risk.out_of_sample_trial import OutOfSampleTrial
from core.risk.tally import tallied_figures
from core.simulation.block_ranges import BLOCK_SCENARIOS, BlockRange, block_ranges_of
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from tests.unit.core.examples import example_normalized

SCENARIOS = 3_300
MODELS = ("three_component_v1", "three_component_v2")


@dataclass(frozen=True)
class Case:
    judged: Judged
    inputs: SimulationInputs
    against: JudgedAgainst

    def tallies(self, *bounds: int) -> list[PartTallies]:
        """Of the parts between these bounds."""
        parts = [BlockRange(*pair) for pair in pairwise(bounds)]
        return [tally_part(self.judged, self.inputs, part) for part in parts]

    def report(self, *bounds: int) -> dict[str, Any]:
        found = large_sample(self.inputs, self.against, self.tallies(*bounds))
        return LargeSampleDocument.of(UUID(int=0), found).as_json()


@cache
def _case(model: str = "three_component_v2") -> Case:
    normalized = example_normalized(modelVersion=model, maxLossProbability=0.15, cvarLimit=0.33, expectations="sample")
    config, inputs = normalized.config, simulation_inputs(normalized.key_document)
    weights = np.linspace(1.0, 3.0, len(config.buckets))
    weights /= weights.sum()
    judged = Judged(config, weights, whole_deals(weights, config))
    return Case(judged, inputs, JudgedAgainst(Limits.of(config, 400), 0.15, 2.0, 1.9, equal_is_feasible=True))


@pytest.mark.parametrize("model", MODELS)
def test_any_division_gives_the_same_report(model: str) -> None:
    case = _case(model)
    whole = case.report(0, SCENARIOS)

    assert case.report(0, 1000, 2000, 3000, SCENARIOS) == whole
    assert case.report(0, 2000, SCENARIOS) == whole


@pytest.mark.parametrize("model", MODELS)
def test_fresh_scenarios_from_any_block_on_are_those_of_the_whole(model: str) -> None:
    inputs = _case(model).inputs
    out_of_sample, companies = model_of(model).out_of_sample, np.full(len(inputs.buckets), 2)

    whole, part = out_of_sample(inputs, 2_500, companies), out_of_sample(inputs, 1_200, companies, 1000)

    assert part.moic.tobytes() == whole.moic[:, 1000:2200].tobytes()
    assert part.regimes.tolist() == whole.regimes[1000:2200].tolist()


def test_the_first_scenarios_are_those_of_the_validation_with_its_figures_errors_and_verdicts() -> None:
    case = _case()
    judged, against = case.judged, case.against
    report = case.report(0, 2000, SCENARIOS)
    trial = OutOfSampleTrial(judged.config, case.inputs, SCENARIOS)
    deals = judged.deals
    for name, draws, in_sample in (
        ("weights", trial.of_weights(judged.weights), 2.0),
        ("wholeDeals", trial.of_deals(deals.weights, deals.cash_weight, deals.counts), 1.9),
    ):
        judged_at_once = judge_out_of_sample(
            draws,
            in_sample_mean=in_sample,
            limits=against.limits,
            max_loss_probability=against.granted_losses,
            inputs=case.inputs,
        )
        expected = out_of_sample_of(judged_at_once).as_json()
        found = report[name]
        assert found.keys() == expected.keys()
        assert found["optimismGap"] == pytest.approx(expected["optimismGap"])
        for figure in ("expectedMoic", "lossProbability", "cvar", "expectedWinners"):
            assert found[figure].keys() == expected[figure].keys()
            for exact in ("value", "standardError"):
                assert found[figure][exact] == pytest.approx(expected[figure][exact], rel=1e-12)
            # Those of the normal distribution here, resampled there.
            for bound in ("low", "high"):
                tolerance = 0.3 * expected[figure]["standardError"]
                assert found[figure][bound] == pytest.approx(expected[figure][bound], abs=tolerance)
        for here, there in zip(found["byRegime"], expected["byRegime"], strict=True):
            assert here["figures"]["scenarios"] == there["figures"]["scenarios"]
            for figure in ("expectedMoic", "lossProbability", "cvar", "expectedWinners"):
                assert here["figures"][figure] == pytest.approx(there["figures"][figure], rel=1e-12)
                error = there["figures"]["standardErrors"][figure]
                # n or n - 1 under the root of a share's error: within one regime the stratified error has the latter.
                assert here["figures"]["standardErrors"][figure] == pytest.approx(error, rel=1e-3)


def test_equal_weights_are_compared_as_in_the_validation() -> None:
    case = _case()
    trial = OutOfSampleTrial(case.judged.config, case.inputs, SCENARIOS)
    weights, confidence = case.judged.weights, case.judged.config.cvar_confidence_level
    answer = Candidate("greedy", weights, 0.0, feasible=True)  # one that is the answer is left out
    equal = Candidate("equal_weights", equal_weights(len(weights)), 0.0, feasible=True)
    (expected,) = comparison_portfolios(weights, trial, (equal, answer), cvar_confidence=confidence)
    expected = replace(expected, turnover=None, risk=None)  # which a large sample does not measure

    (found,) = case.report(0, 1000, SCENARIOS)["rivals"]

    assert found.keys() == comparison_of(expected).as_json().keys()
    for name, value in comparison_of(expected).as_json().items():
        assert found[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_where_equal_weights_are_the_answer_they_are_not_compared() -> None:
    case = _case()
    against = replace(case.against, equal_is_feasible=None)

    assert large_sample(case.inputs, against, case.tallies(0, 1000)).comparison_portfolios == []


def test_only_losing_scenarios_are_kept_one_by_one() -> None:
    case = _case()
    (ownership_retained,) = case.tallies(0, SCENARIOS)
    draws = OutOfSampleTrial(case.judged.config, case.inputs, SCENARIOS).of_weights(case.judged.weights)

    assert ownership_retained.weights.losses.tolist() == (1.0 - draws.multiples[draws.multiples < 1.0]).tolist()
    assert ownership_retained.weights.counts.shape == (4, len(case.inputs.regimes))
    assert ownership_retained.weights.counts.sum() == SCENARIOS


def test_a_regime_without_a_scenario_has_no_figures() -> None:
    case = _case()
    (found,) = case.tallies(0, 1000)
    empty = found.weights.counts.copy()
    empty[:, 1] = 0

    assert tallied_figures(replace(found.weights, counts=empty), 0.95, 1) is None


@given(scenarios=st.integers(1, 50_000), draws=st.integers(1, 30_000), size=st.integers(1, 10**8))
def test_parts_are_whole_blocks_in_order_without_gaps_and_of_bounded_work(
    scenarios: int, draws: int, size: int
) -> None:
    parts = block_ranges_of(scenarios, draws, size)

    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == scenarios
    assert all(part.start % BLOCK_SCENARIOS == 0 and part.scenarios > 0 for part in parts)
    assert all(part.scenarios * draws <= max(size, BLOCK_SCENARIOS * draws) for part in parts)


def test_a_sample_is_divided_by_the_companies_it_draws() -> None:
    case = _case()

    assert len(parts_of_sample(case.judged, case.inputs, 1_000)) == 1
    assert len(parts_of_sample(case.judged, case.inputs, 5_000_000)) > 50


def test_bad_input_comes_back_from_another_process_with_its_problems() -> None:
    error = pickle.loads(pickle.dumps(BadInput.of("outcome_cap", 1.0, "must be larger")))

    assert (error.problems[0].field, str(error)) == ("outcome_cap", "outcome_cap = 1.0: must be larger")
