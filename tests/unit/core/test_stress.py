"""Other economies without a new solve: exact by hand, and what a simulation of that economy gives."""

from __future__ import annotations

import dataclasses
import math
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.portfolio.dollars import whole_deals
from core.portfolio.strict import shortfalls
from core.result.build import validation_of
from core.result.reports import StressDocument
from core.risk.measures import cvar
from core.risk.out_of_sample_trial import OutOfSampleTrial, PortfolioDraws
from core.risk.stress import by_regime, stress_shares, stressed
from core.risk.stress_report import stress_report
from core.simulation.inputs import Regime
from tests.unit.core.simulated_fund import REGIMES, config_of, make_inputs
from tests.unit.core.test_validation import EQUAL, validated


def draws_of(multiples: list[float], regimes: list[int]) -> PortfolioDraws:
    values = np.array(multiples)
    return PortfolioDraws(values, 2 * values, np.array(regimes, dtype=np.int64))


def test_figures_worked_out_by_hand() -> None:
    draws = draws_of([2.0, 4.0, 0.5, 1.5, 0.0], [0, 0, 1, 1, 2])
    found = stressed(draws, np.array([0.5, 0.5, 0.0]), 0.8)
    # Weights .25 each on the first four; the worst 20% lie within the loss of .5.
    assert (found.expected_moic, found.expected_winners) == (2.0, 4.0)
    assert (found.loss_probability, found.scenarios, found.effective_scenarios) == (0.25, 4, 4.0)
    assert found.cvar == pytest.approx(0.5)
    assert found.errors.expected_moic == pytest.approx(math.sqrt(0.25 * 2.0 / 2 + 0.25 * 0.5 / 2))
    alone = stressed(draws, np.array([0.0, 0.0, 1.0]), 0.8)
    assert (alone.expected_moic, alone.cvar, alone.errors.expected_moic) == (0.0, 1.0, None)


@given(st.lists(st.floats(0, 5), min_size=2, max_size=30), st.floats(0, 0.95))
def test_a_single_regime_gives_the_plain_figures(multiples: list[float], confidence: float) -> None:
    values = np.array(multiples)
    found = stressed(draws_of(multiples, [0] * len(multiples)), np.array([1.0]), confidence)
    assert found.expected_moic == pytest.approx(values.mean())
    assert found.cvar == pytest.approx(cvar(shortfalls(values), confidence), abs=1e-9)
    assert found.effective_scenarios == pytest.approx(values.size)
    assert found.errors.expected_moic == pytest.approx(values.std(ddof=1) / math.sqrt(values.size))


def test_the_observed_shares_give_the_validation_again() -> None:
    inputs = make_inputs()
    config = config_of(inputs, validation_scenarios=2000)
    deals = whole_deals(EQUAL, config)
    found = stress_report(config, inputs, EQUAL, deals, wanted={}, scenarios=2000)
    report = StressDocument.of(UUID(int=0), found).as_json()
    metrics = validation_of(validated(inputs, EQUAL, validation_scenarios=2000)).as_json()
    for name, judged in (("weights", metrics["outOfSample"]), ("wholeDeals", metrics["wholeDeals"]["outOfSample"])):
        shown = report[name]["asSimulated"]
        assert shown["effectiveScenarios"] == pytest.approx(2000)
        for figure in ("expectedMoic", "lossProbability", "cvar", "expectedWinners"):
            assert shown[figure] == pytest.approx(judged[figure]["value"])
        assert report[name]["byRegime"] == judged["byRegime"]
        assert report[name]["stressed"] is None


def test_a_stressed_economy_is_what_simulating_it_gives() -> None:
    """Independent: the inputs' own probabilities are changed, and other scenarios drawn."""
    inputs = make_inputs()
    weights = np.full(12, 1 / 12)
    config = config_of(inputs)
    trial = OutOfSampleTrial(config, inputs, 20_000)
    found = stressed(trial.of_weights(weights), stress_shares({"recession": 0.8}, REGIMES), 0.95)
    shares = (0.2 * 2 / 3, 0.2 / 3, 0.8)
    harder = [dataclasses.replace(regime, probability=share) for regime, share in zip(REGIMES, shares, strict=True)]
    other = dataclasses.replace(inputs, regimes=tuple(harder), matrix_key="another world")
    plain = OutOfSampleTrial(config, other, 20_000).of_weights(weights).multiples
    for told, error, truth, spread in (
        (found.expected_moic, found.errors.expected_moic, plain.mean(), plain.std()),
        (found.loss_probability, found.errors.loss_probability, (plain < 1).mean(), (plain < 1).std()),
    ):
        assert abs(told - truth) < 4 * math.hypot(error, spread / math.sqrt(20_000))
    as_simulated = trial.of_weights(weights).multiples
    assert found.loss_probability > (as_simulated < 1).mean() + 0.02
    assert found.effective_scenarios < 20_000 * 0.6


def test_errors_are_the_spread_over_many_samples() -> None:
    draw = np.random.default_rng(3)
    found = []
    for _ in range(600):
        regimes = draw.choice(2, 400, p=[0.8, 0.2])
        multiples = np.where(regimes == 0, draw.normal(2.0, 0.5, 400), draw.normal(0.9, 0.4, 400))
        found.append(stressed(PortfolioDraws(multiples, multiples, regimes), np.array([0.3, 0.7]), 0.9))
    for name in ("expected_moic", "loss_probability", "cvar"):
        spread = np.std([getattr(one, name) for one in found], ddof=1)
        # 600 values know their standard deviation to 3%.
        assert spread == pytest.approx(np.mean([getattr(one.errors, name) for one in found]), rel=0.12)


def test_shares_that_are_not_named_keep_their_proportions() -> None:
    assert stress_shares({"recession": 1.0}, REGIMES) == pytest.approx([0.0, 0.0, 1.0])
    assert stress_shares({"recession": 0.4}, REGIMES) == pytest.approx([0.4, 0.2, 0.4])
    assert stress_shares({"base": 0.2, "boom": 0.3, "recession": 0.5}, REGIMES) == pytest.approx([0.2, 0.3, 0.5])
    thirds = dict.fromkeys(("base", "boom", "recession"), 0.333333)
    assert stress_shares(thirds, REGIMES).sum() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("wanted", "regimes", "message"),
    [
        ({"slump": 1.0}, REGIMES, "stress = 'slump': must name a regime of the session: base, boom, recession"),
        ({"boom": 1.2}, REGIMES, "stress boom = 1.2: must be a share between 0 and 1"),
        ({"boom": -0.1}, REGIMES, "stress boom = -0.1"),
        ({"boom": math.nan}, REGIMES, "stress boom = nan"),
        ({"boom": 0.7, "base": 0.7}, REGIMES, "stress = 1.4: is the sum of the shares; it must not exceed 1"),
        ({"base": 0.1, "boom": 0.1, "recession": 0.1}, REGIMES, "with every regime named it must be 1"),
        (
            {"war": 0.5},
            (Regime("peace", 1.0, -0.3, 0.3), Regime("war", 0.0, -1.0, -0.5)),
            "stress war = 0.5: must be 0: the session gives this regime no probability",
        ),
    ],
)
def test_shares_that_cannot_be_are_refused_by_name(
    wanted: dict[str, float], regimes: tuple[Regime, ...], message: str
) -> None:
    with pytest.raises(BadInput) as refused:
        stress_shares(wanted, regimes)
    assert message in str(refused.value)


def test_a_regime_without_a_scenario_has_no_figures() -> None:
    draws = draws_of([1.0, 2.0], [0, 0])
    views = by_regime(draws, REGIMES, 0.95)
    assert [(view.regime, view.figures is None) for view in views] == [
        ("base", False),
        ("boom", True),
        ("recession", True),
    ]
