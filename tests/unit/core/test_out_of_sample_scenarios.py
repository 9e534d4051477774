"""Scenarios out of sample have the distribution of the matrix, and any block range of them can be drawn alone.

All seeds are fixed. Shares and means are compared within 4 standard errors (two-sided chance 6e-5 each) and whole
distributions by the Kolmogorov-Smirnov distance at the level 1e-4, so that a wrong one fails and luck does not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from functools import cache

import numpy as np
import pytest

from core.arrays import FloatArray
from core.calibration.snapshot import StageTransitions
from core.matrix.scenario_matrix import ScenarioMatrix
from core.simulation import three_component_v1 as v1
from core.simulation.inputs import Recycling, SimulationInputs
from core.simulation.philox import Purpose, raw_words, uniforms
from core.simulation.three_component_v1_out_of_sample import exit_probability, out_of_sample
from core.simulation.xorshift import Xorshift32
from core.stages import Stage
from tests.unit.core.simulated_fund import TRANSITIONS, make_bucket, make_inputs

SCENARIOS = 4000
RECYCLING = Recycling(enabled=True, utilization=0.4, cash_multiple=1.1, max_recycle_deals=2)


@cache
def distribution_inputs(recycled: bool) -> SimulationInputs:
    buckets = tuple(make_bucket(stage, sector, 2.0, 6.0) for stage in (Stage.B, Stage.SEED) for sector in ("X", "Y"))
    inputs = make_inputs(buckets=buckets, scenario_count=SCENARIOS)
    return make_inputs(buckets=buckets, scenario_count=SCENARIOS, recycling=RECYCLING) if recycled else inputs


@cache
def matrix_of(recycled: bool) -> ScenarioMatrix:
    return v1.generate(distribution_inputs(recycled))


def one_company(inputs: SimulationInputs, scenario_count: int = SCENARIOS) -> FloatArray:
    return out_of_sample(inputs, scenario_count, np.ones(len(inputs.buckets), dtype=np.int64)).moic


def assert_same_mean(first: FloatArray, second: FloatArray) -> None:
    error = math.hypot(first.std() / math.sqrt(first.size), second.std() / math.sqrt(second.size))
    assert abs(first.mean() - second.mean()) <= 4 * error


def philox_block(key: tuple[int, int], counter: list[int]) -> list[int]:
    """Philox4x64-10 from its definition, on plain integers: four words for one 256-bit counter."""
    mask = 2**64 - 1
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * x0, 2**64)
        high1, low1 = divmod(0xCA5A826395121157 * x2, 2**64)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = k0 + 0x9E3779B97F4A7C15 & mask, k1 + 0xBB67AE8584CAA73B & mask
    return [x0, x1, x2, x3]


def test_the_words_are_those_of_philox_from_the_documented_key_and_counter() -> None:
    key = int.from_bytes(hashlib.sha256(b"some key").digest()[:16], "big")
    expected: list[int] = []
    for step in (1, 2, 3):  # NumPy counts up before it draws
        expected += philox_block((key % 2**64, key >> 64), [step, 9, 7, int(Purpose.OUT_OF_SAMPLE)])
    words = raw_words("some key", Purpose.OUT_OF_SAMPLE, block=7, stream=9, count=12)
    assert words.tolist() == expected


def test_uniforms_lie_strictly_between_zero_and_one_and_purposes_share_none() -> None:
    sample = uniforms("k", Purpose.OUT_OF_SAMPLE, 0, 0, 100_000)
    assert 0.0 < sample.min() < 1e-3
    assert 1.0 - 1e-3 < sample.max() < 1.0
    assert (sample * 2**53 % 2 == 1).all()
    assert not np.isin(uniforms("k", Purpose.BOOTSTRAP, 0, 0, 100_000), sample).any()


class Scripted(Xorshift32):
    """Gives these numbers instead of the generator's own."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: FloatArray) -> None:
        super().__init__(1)
        self.numbers = iter(numbers.tolist())

    def next(self) -> float:
        return next(self.numbers)


@pytest.mark.parametrize("recycled", [False, True], ids=["plain", "recycling"])
def test_every_company_is_the_scalar_models_own_from_the_documented_numbers(recycled: bool) -> None:
    inputs = distribution_inputs(recycled)
    companies = np.array([1, 2, 0, 3])
    drawn = out_of_sample(inputs, 2 * 1000, companies)
    for scenario in [0, 1, 2, 999, 1000, 1999]:
        block, column = divmod(scenario, 1000)
        rows = 2 + 2 + 4  # regime, its shock, two sectors, four buckets
        reference = uniforms(inputs.matrix_key, Purpose.OUT_OF_SAMPLE, block, 0, rows * 1000).reshape(rows, 1000)
        state = v1.draw_state(inputs, Scripted(reference[:, column]))
        assert inputs.regimes[drawn.regimes[scenario]].name == state.macro_regime
        for position, bucket in enumerate(inputs.buckets):
            shocks = v1.shocks_of(state, position)
            multiples = []
            for company in range(companies[position]):
                stream = ((position + 1) << 32) + company
                own = uniforms(inputs.matrix_key, Purpose.OUT_OF_SAMPLE, block, stream, 4 * 1000).reshape(4, 1000)
                rng = Scripted(own[1:, column])
                exits = own[0, column] < exit_probability(bucket.stage, inputs.transitions, inputs.max_rounds)
                moic = v1.draw_exit_moic(bucket, shocks, rng) if exits else 0.0
                multiples.append(v1.recycle(moic, bucket, shocks, inputs.recycling, rng) if recycled else moic)
            expected = sum(multiples) / max(1, len(multiples))
            assert drawn.moic[position, scenario] == pytest.approx(expected, rel=1e-12)


def test_a_prefix_of_the_scenarios_has_the_same_bytes_whatever_comes_after() -> None:
    inputs = make_inputs()
    companies = np.arange(12)
    whole = out_of_sample(inputs, 2300, companies)
    for count in (1, 999, 1000, 1001, 2299):
        part = out_of_sample(inputs, count, companies)
        assert part.moic.tobytes() == np.ascontiguousarray(whole.moic[:, :count]).tobytes()
        assert part.regimes.tobytes() == whole.regimes[:count].tobytes()


def test_the_companies_of_a_bucket_change_no_other_bucket() -> None:
    inputs = make_inputs()
    few, many = np.full(12, 2), np.full(12, 2)
    many[5] = 9
    others = np.arange(12) != 5
    first, second = out_of_sample(inputs, 1500, few).moic, out_of_sample(inputs, 1500, many).moic
    np.testing.assert_array_equal(first[others], second[others])
    assert not np.array_equal(first[5], second[5])


def test_the_first_companies_stay_the_same_when_more_join_them() -> None:
    inputs = make_inputs()
    mean_of = [out_of_sample(inputs, 1000, np.full(12, n)).moic for n in range(4)]
    assert not mean_of[0].any()
    for n in (1, 2):
        joined = mean_of[n + 1] * (n + 1) - mean_of[n] * n
        # What is left is the new company alone: it fails exactly as often as a company does, instead of never.
        share_failed = (np.abs(joined) < 1e-9 * (1 + mean_of[n])).mean(axis=1)
        chance = [1 - exit_probability(bucket.stage, inputs.transitions, 10) for bucket in inputs.buckets]
        np.testing.assert_allclose(share_failed, chance, atol=4 * math.sqrt(0.25 / 1000))
        assert joined.min() > -1e-6


@pytest.mark.parametrize("n", [2, 5])
def test_companies_of_a_bucket_exit_independently_of_each_other(n: int) -> None:
    inputs = distribution_inputs(recycled=False)
    drawn = out_of_sample(inputs, SCENARIOS, np.full(4, n)).moic
    for row, bucket in zip(drawn, inputs.buckets, strict=True):
        none_exits = (1 - exit_probability(bucket.stage, inputs.transitions, 10)) ** n
        error = math.sqrt(none_exits * (1 - none_exits) / SCENARIOS)
        assert abs((row == 0).mean() - none_exits) <= 4 * error


def test_more_companies_keep_the_mean_and_lower_the_spread() -> None:
    # A thin tail (alpha 4), so that means and variances settle.
    inputs = make_inputs(buckets=(make_bucket(Stage.B, "X", 2.0, 3.0), make_bucket(Stage.SEED, "X", 2.0, 3.0)))
    alone, twenty = one_company(inputs), out_of_sample(inputs, SCENARIOS, np.full(2, 20)).moic
    for row_alone, row_twenty in zip(alone, twenty, strict=True):
        assert_same_mean(row_alone, row_twenty)
        assert row_twenty.std() < row_alone.std() / 2


def every_path(stage: Stage, transitions: dict[Stage, StageTransitions], rounds: int) -> float:
    """P(exit) by following each branch of the tree of rounds."""
    if rounds == 0:
        return 0.0
    rates = transitions[stage]
    stay = 1 - rates.exit_rate - rates.failure_rate - rates.graduate_rate
    after = every_path(stage.next, transitions, rounds - 1) if stage.next else 1.0
    return rates.exit_rate + rates.graduate_rate * after + stay * every_path(stage, transitions, rounds - 1)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("rounds", [1, 2, 5, 10])
def test_the_chance_to_exit_is_exact(stage: Stage, rounds: int) -> None:
    assert exit_probability(stage, TRANSITIONS, rounds) == pytest.approx(every_path(stage, TRANSITIONS, rounds))
    rng = Xorshift32(seed := 20_000 + rounds)
    exits = sum(v1.draw_exit_stage(stage, TRANSITIONS, rounds, rng) is not None for _ in range(seed))
    chance = exit_probability(stage, TRANSITIONS, rounds)
    assert abs(exits / seed - chance) <= 4 * math.sqrt(chance * (1 - chance) / seed)


@pytest.mark.parametrize("recycled", [False, True], ids=["plain", "recycling"])
def test_failures_losses_winners_and_capped_means_are_those_of_the_matrix(recycled: bool) -> None:
    drawn, matrix = one_company(distribution_inputs(recycled)), matrix_of(recycled).moic.astype(np.float64)
    for drawn_row, matrix_row in zip(drawn, matrix, strict=True):
        assert_same_mean(drawn_row == 0, matrix_row == 0)
        assert_same_mean(drawn_row < 1, matrix_row < 1)
        assert_same_mean(drawn_row >= 10, matrix_row >= 10)
        assert_same_mean(np.minimum(drawn_row, 20), np.minimum(matrix_row, 20))


@pytest.mark.parametrize("recycled", [False, True], ids=["plain", "recycling"])
def test_the_multiples_of_exits_have_the_distribution_of_the_matrix(recycled: bool) -> None:
    drawn, matrix = one_company(distribution_inputs(recycled)), matrix_of(recycled).moic
    for drawn_row, matrix_row in zip(drawn, matrix, strict=True):
        first, second = np.sort(drawn_row[drawn_row > 0]), np.sort(matrix_row[matrix_row > 0].astype(np.float64))
        both = np.concatenate([first, second])
        distance = np.abs(
            np.searchsorted(first, both, side="right") / first.size
            - np.searchsorted(second, both, side="right") / second.size
        ).max()
        level = math.sqrt(-math.log(1e-4 / 2) / 2)
        assert distance < level * math.sqrt((first.size + second.size) / (first.size * second.size))


def test_buckets_hang_together_through_regime_and_sector_as_in_the_matrix() -> None:
    # The thinnest tail leaves most of the variance to the shocks.
    buckets = tuple(make_bucket(stage, sector, 2.0, 2.6) for stage in (Stage.B, Stage.C) for sector in ("X", "Y"))
    inputs = make_inputs(buckets=buckets, scenario_count=SCENARIOS)
    both_ways = one_company(inputs), v1.generate(inputs).moic
    for pair, least in (([0, 1], 0.15), ([0, 2], 0.3), ([1, 3], 0.3)):  # other sectors, then twice the same
        scores = []
        for moic in both_ways:
            exits = (moic[pair] > 0).all(axis=0)
            correlation = float(np.corrcoef(np.log(moic[pair][:, exits]))[0, 1])
            assert correlation > least
            scores.append((math.atanh(correlation), 1 / (int(exits.sum()) - 3)))
        # Fisher's z is nearly normal with variance 1 / (n - 3).
        (z_drawn, variance_drawn), (z_matrix, variance_matrix) = scores
        assert abs(z_drawn - z_matrix) <= 4 * math.sqrt(variance_drawn + variance_matrix)


def test_regimes_come_as_often_as_their_probabilities_say() -> None:
    inputs = make_inputs()
    counts = np.bincount(out_of_sample(inputs, 20_000, np.zeros(12, dtype=np.int64)).regimes, minlength=3)
    for count, regime in zip(counts, inputs.regimes, strict=True):
        p = regime.probability
        assert abs(count / 20_000 - p) <= 4 * math.sqrt(p * (1 - p) / 20_000)


def test_out_of_sample_scenarios_are_not_those_of_the_matrix_and_each_key_has_its_own() -> None:
    inputs = distribution_inputs(recycled=False)
    drawn, matrix = one_company(inputs).astype(np.float32), matrix_of(recycled=False).moic
    # In 24 bits a few values coincide by chance.
    assert np.intersect1d(drawn[drawn > 0], matrix[matrix > 0]).size < 0.01 * (drawn > 0).sum()
    other = one_company(dataclasses.replace(inputs, matrix_key="another")).astype(np.float32)
    assert np.intersect1d(drawn[drawn > 0], other[other > 0]).size < 0.01 * (drawn > 0).sum()
