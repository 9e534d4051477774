"""Few scenarios for many: better than chance, the same every time, and what is lost is told exactly."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from core.canonical import canonical_json
from core.errors import BadInput
from core.matrix.key import simulation_inputs
from core.matrix.reduction.matrix import reduce_as_asked, reduce_matrix
from core.matrix.reduction.selection import select_scenarios
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.dollars import whole_deals
from core.portfolio.limits import Limits
from core.portfolio.strict import evaluate
from core.request import parse_request
from core.request.normalize import normalize
from core.result.build import validation_of
from core.risk.reduction_loss import reduction_loss, wasserstein
from core.risk.validate import validate
from core.simulation.models import model_of
from db.reference_calibrations import reference_calibrations
from tests.unit.core.simulated_fund import config_of, make_inputs, matrix_of

REQUEST = {
    "fundId": "00000000-0000-4000-8000-000000000001",
    "totalFundSize": 1e8,
    "maxLossProbability": 0.5,
    "cvarLimit": 0.9,
    "buckets": {"stages": ["Seed", "A"], "sectors": ["AI", "Health"]},
    "modelVersion": "three_component_v1",
    "calibrationVersion": "us_venture_2004_2013",
}


def normalized(**worlds: object):
    (reference,) = [one for one in reference_calibrations() if one.version == REQUEST["calibrationVersion"]]
    return normalize(parse_request({**REQUEST, "scenarioGenConfig": worlds}), reference)


def lognormal(seed: int, buckets: int, scenarios: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    common = draw.normal(size=scenarios)
    return np.exp(0.5 * common + draw.normal(scale=0.9, size=(buckets, scenarios))).astype(np.float32)


def discrepancy(moic: np.ndarray, chosen: tuple[int, ...]) -> float:
    """What is to be minimized, as its definition says, in plain loops."""
    roots = np.sqrt(moic.astype(np.float64)).T
    n = len(roots)
    distance = np.array([[np.linalg.norm(one - other) for other in roots] for one in roots])
    spread = moic.std(axis=1)
    standard = ((moic - moic.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)[:, None]).T
    kernel = distance - distance.mean() / len(moic) * standard @ standard.T
    index = list(chosen)
    return 2 * kernel[:, index].mean() - kernel[np.ix_(index, index)].mean() if n else 0.0


@pytest.mark.parametrize("seed", range(6))
def test_on_small_cases_the_choice_is_near_the_best_of_all(seed: int) -> None:
    moic = lognormal(seed, 3, 12)
    everything = sorted(discrepancy(moic, chosen) for chosen in itertools.combinations(range(12), 4))
    found = discrepancy(moic, tuple(select_scenarios(moic, 4)))
    assert everything[0] - 1e-6 <= found <= everything[len(everything) // 20]
    # No exchange of one scenario for another makes it better: that is when the sweeps end.
    chosen = set(select_scenarios(moic, 4).tolist())
    for out, into in itertools.product(chosen, set(range(12)) - chosen):
        assert discrepancy(moic, tuple(chosen - {out} | {into})) > found - 1e-6


def test_means_and_risks_of_portfolios_are_nearer_than_those_of_as_many_scenarios_at_random() -> None:
    moic = lognormal(1, 20, 2000)
    weights = np.random.default_rng(0).dirichlet(np.full(20, 0.3), 40)

    def errors(chosen: np.ndarray) -> np.ndarray:
        few, many = weights @ moic[:, chosen], weights @ moic
        shortfall = [np.sort(np.maximum(0, 1 - m), axis=1) for m in (few, many)]
        tails = [s[:, -s.shape[1] // 10 :].mean(axis=1) for s in shortfall]
        figures = (few.mean(axis=1) - many.mean(axis=1), (few < 1).mean(axis=1) - (many < 1).mean(axis=1))
        return np.array([np.sqrt((e**2).mean()) for e in (*figures, tails[0] - tails[1])])

    ours = errors(select_scenarios(moic, 150))
    chance = np.mean([errors(np.random.default_rng(s).choice(2000, 150, replace=False)) for s in range(20)], axis=0)
    assert ours[0] < chance[0] / 3
    assert np.all(ours[1:] < chance[1:])


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_each_chosen_scenario_is_there_once_and_in_order(scenarios: int, count: int, seed: int) -> None:
    moic = lognormal(seed, 4, scenarios)
    if count > scenarios:
        with pytest.raises(BadInput, match="scenarioCount"):
            select_scenarios(moic, count)
        return
    chosen = select_scenarios(moic, count)
    assert chosen.size == count
    assert np.all(np.diff(chosen) > 0)
    assert (chosen.min(), chosen.max() < scenarios) >= (0, True)


def test_the_choice_does_not_depend_on_the_size_of_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    moic = lognormal(2, 6, 300)
    whole = select_scenarios(moic, 40)
    monkeypatch.setattr("core.matrix.reduction.selection.BLOCK_ROWS", 7)
    assert np.array_equal(select_scenarios(moic, 40), whole)


def test_a_bucket_that_never_differs_and_scenarios_that_are_all_alike_are_no_trouble() -> None:
    moic = lognormal(3, 3, 50)
    moic[1] = 2.0
    assert select_scenarios(moic, 10).size == 10
    assert select_scenarios(np.ones((3, 20), dtype=np.float32), 5).tolist() == [0, 1, 2, 3, 4]


def test_more_than_memory_allows_is_refused() -> None:
    with pytest.raises(BadInput, match="generatedScenarios = 10001: must be at most 10,000"):
        select_scenarios(np.ones((1, 10_001), dtype=np.float32), 5)


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=30),
    st.lists(st.floats(0, 100), min_size=1, max_size=30),
)
def test_the_wasserstein_distance_is_scipys(one: list[float], other: list[float]) -> None:
    found = wasserstein(np.array(one), np.array(other))
    assert found == pytest.approx(wasserstein_distance(one, other), abs=1e-9)


def test_what_is_lost_is_told_by_bucket() -> None:
    everything = matrix_of({"A_X": [1.0, 1.0, 1.0, 1.0], "B_X": [0.0, 1.0, 2.0, 3.0]})
    kept = matrix_of({"A_X": [1.0, 1.0], "B_X": [0.0, 1.0]})
    lost = reduction_loss(everything, kept)
    assert (lost.generated, lost.kept, lost.largest_distance_bucket) == (4, 2, "B_X")
    assert (lost.largest_distance, lost.mean_distance, lost.largest_mean_error) == (1.0, 0.5, 1.0)
    assert lost.equal_weights_distance == pytest.approx(0.5)


def test_keys_stay_what_they_were_and_only_a_reduction_makes_another() -> None:
    plain, reduced, other = (
        normalized(scenarioCount=60),
        normalized(scenarioCount=60, generatedScenarios=500),
        normalized(scenarioCount=60, generatedScenarios=501),
    )
    assert "generated_scenarios" not in plain.key_document["key"]
    assert len({plain.matrix_key, reduced.matrix_key, other.matrix_key}) == 3
    assert reduced.key_document["key"]["scenario_count"] == 60
    assert reduced.config == plain.config
    assert simulation_inputs(reduced.key_document).scenario_count == 500
    assert simulation_inputs(json.loads(canonical_json(reduced.key_document))) == simulation_inputs(
        reduced.key_document
    )


@pytest.mark.parametrize("generated", [1, 59, 60, 10_001])
def test_no_more_generated_than_kept_is_refused(generated: int) -> None:
    with pytest.raises(BadInput, match=r"scenarioGenConfig\.generatedScenarios"):
        normalized(scenarioCount=60, generatedScenarios=generated)


def reduced_matrix() -> tuple[ScenarioMatrix, ScenarioMatrix]:
    document = normalized(scenarioCount=60, generatedScenarios=400).key_document
    everything = model_of("three_component_v1").generate(simulation_inputs(document))
    return everything, reduce_as_asked(everything, document)


def test_a_reduced_matrix_has_its_scenarios_with_their_states_and_all_scenarios_chances_to_win() -> None:
    everything, reduced = reduced_matrix()
    assert (everything.n_scenarios, reduced.n_scenarios) == (400, 60)
    chosen = select_scenarios(everything.moic, 60)
    assert np.array_equal(reduced.moic, everything.moic[:, chosen])
    assert list(reduced.states) == [everything.states[place] for place in chosen]
    assert reduced.win_probability is everything.win_probability
    document = normalized(scenarioCount=60).key_document
    assert reduce_as_asked(reduced, document) is reduced


def test_the_answer_is_validated_on_all_generated_scenarios() -> None:
    inputs = make_inputs(scenario_count=400)
    everything = model_of("three_component_v1").generate(inputs)
    matrix = reduce_matrix(everything, 60)
    weights = np.full(12, 1 / 12)
    config = config_of(inputs, max_loss_probability=0.4, validation_scenarios=300)
    metrics = validate(
        config, Limits.of(config, 60), matrix, inputs, weights=weights, deals=whole_deals(weights, config)
    )
    found = metrics.generated
    assert found.check.figures == evaluate(weights, everything, config)
    assert found.loss == reduction_loss(everything, matrix)
    assert found.errors.loss_probability < metrics.errors.loss_probability
    document = validation_of(metrics).generated
    assert document is not None
    assert document.reduction.generated == 400
    assert document.feasible == (found.check.figures.loss_count <= 160)


def test_without_reduction_there_is_nothing_more_to_validate_on() -> None:
    inputs = make_inputs()
    config = config_of(inputs, validation_scenarios=300)
    matrix = model_of("three_component_v1").generate(inputs)
    weights = np.full(12, 1 / 12)
    metrics = validate(
        config, Limits.of(config, 60), matrix, inputs, weights=weights, deals=whole_deals(weights, config)
    )
    assert validation_of(metrics).generated is None
