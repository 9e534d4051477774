"""The reference scenario model equals its golden values and keeps its promises beyond them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calibration.snapshot import StageTransitions
from core.errors import BadInput
from core.simulation import three_component_v1 as v1
from core.simulation import xorshift
from core.simulation.inputs import Recycling, Regime, SimulationInputs
from core.simulation.models import model_of
from core.simulation.xorshift import MASK_32, Xorshift32, seed_of
from core.stages import Stage
from tests.unit.core.simulated_fund import make_bucket, make_inputs

GOLDEN = Path(__file__).parents[2] / "golden"
FUNCTIONS = json.loads((GOLDEN / "three_component_v1_functions.json").read_text())
MATRICES = json.loads((GOLDEN / "three_component_v1_matrix.json").read_text())
RELATIVE = 1e-12

# The golden file names only the results of its multiples and its recycled row; these are the parameters behind them.
GOLDEN_BUCKET = make_bucket(Stage.SEED, "SaaS", 2.5, 9.0)
GOLDEN_SHOCKS = v1.Shocks(regime=-0.4, systematic=0.4, idiosyncratic=0.3)
GOLDEN_RECYCLING = Recycling(enabled=True, utilization=0.5, cash_multiple=1.1, max_recycle_deals=3)
GOLDEN_RECYCLED_FROM = [2.5, 0.4, 1.0, 7.0]

RECYCLING = Recycling(enabled=True, utilization=0.5, cash_multiple=1.0, max_recycle_deals=3)


def golden_inputs(document: dict[str, Any]) -> SimulationInputs:
    buckets = [
        make_bucket(Stage(b["stage"]), b["sector"], b["median_moic"], b["p90_moic"]) for b in document["buckets"]
    ]
    regimes = [
        Regime(r["name"], r["probability"], r["shock_range"]["min"], r["shock_range"]["max"])
        for r in document["regimes"]
    ]
    return make_inputs(
        matrix_key=document["matrix_key"],
        scenario_count=document["scenario_count"],
        buckets=tuple(sorted(buckets, key=lambda bucket: bucket.key)),
        transitions={Stage(stage): StageTransitions(**rates) for stage, rates in document["transitions"].items()},
        regimes=tuple(sorted(regimes, key=lambda regime: regime.name)),
        recycling=Recycling(**document["recycling"]),
        max_rounds=document["max_rounds"],
    )


def state_before(state: int) -> int:
    """The generator's state one step earlier: each of its three shift-and-xor steps undone, last one first."""

    def undo(value: int, shift: int) -> int:
        result = value
        for _ in range(32 // abs(shift) + 1):
            result = value ^ ((result << shift & MASK_32) if shift > 0 else result >> -shift)
        return result

    return undo(undo(undo(state, 5), -17), 13)


@pytest.mark.parametrize("case", FUNCTIONS["alpha"], ids=lambda case: f"{case['median']}-{case['p90']}")
def test_alpha_equals_the_golden_value(case: dict[str, float]) -> None:
    assert v1.power_law_alpha(case["median"], case["p90"]) == pytest.approx(case["alpha"], rel=RELATIVE)


@pytest.mark.parametrize("golden", FUNCTIONS["streams"], ids=lambda golden: golden["matrixKey"])
def test_every_function_equals_the_golden_value_down_to_the_generators_final_state(golden: dict[str, Any]) -> None:
    assert seed_of(golden["matrixKey"]) == golden["seed"]
    rng = Xorshift32(golden["seed"])
    assert [rng.next() for _ in golden["uniform"]] == pytest.approx(golden["uniform"], rel=RELATIVE)
    assert [rng.normal(0.0, 1.0) for _ in golden["normal"]] == pytest.approx(golden["normal"], rel=RELATIVE)
    pareto = [v1.draw_pareto(3.0, 12.0, rng) for _ in golden["paretoMedian3P90_12"]]
    assert pareto == pytest.approx(golden["paretoMedian3P90_12"], rel=RELATIVE)
    transitions = {
        Stage(stage): StageTransitions(
            exit_rate=rates["exitRate"], graduate_rate=rates["graduateRate"], failure_rate=rates["failureRate"]
        )
        for stage, rates in golden["transitions"].items()
    }
    paths = [v1.draw_exit_stage(list(Stage)[i % 4], transitions, 10, rng) for i in range(len(golden["paths"]))]
    assert paths == [path["exitStage"] for path in golden["paths"]]
    moic = [v1.draw_exit_moic(GOLDEN_BUCKET, GOLDEN_SHOCKS, rng) for _ in golden["moic"]]
    assert moic == pytest.approx(golden["moic"], rel=RELATIVE)
    recycled = [v1.recycle(m, GOLDEN_BUCKET, GOLDEN_SHOCKS, GOLDEN_RECYCLING, rng) for m in GOLDEN_RECYCLED_FROM]
    assert recycled == pytest.approx(golden["recycled"][0], rel=RELATIVE)
    assert rng.state == golden["finalState"]


@pytest.mark.parametrize("golden", MATRICES, ids=lambda golden: golden["input"]["matrix_key"])
def test_whole_matrices_equal_the_golden_ones_with_their_worlds_and_the_final_state(golden: dict[str, Any]) -> None:
    inputs, expected = golden_inputs(golden["input"]), golden["expected"]
    rng = Xorshift32(seed_of(inputs.matrix_key))
    moic, states = v1.simulate(inputs, rng)
    np.testing.assert_allclose(moic, expected["moic_matrix"], rtol=RELATIVE, atol=0.0)
    assert [bucket.key for bucket in inputs.buckets] == expected["bucket_keys"]
    for state, wanted in zip(states, expected["scenario_states"], strict=True):
        assert state.macro_regime == wanted["macro_regime"]
        for name in ("regime_shock", "systematic", "idiosyncratic"):
            assert state.as_json()[name] == pytest.approx(wanted[name], rel=RELATIVE)
    assert rng.state == expected["final_state"]


def test_the_matrix_is_the_simulation_rounded_to_float32_with_winners_counted_on_the_rounded_values() -> None:
    inputs = make_inputs(scenario_count=300, winner_multiple=3.3)
    matrix = v1.generate(inputs)
    moic, states = v1.simulate(inputs, Xorshift32(seed_of(inputs.matrix_key)))
    assert matrix.moic.tobytes() == moic.astype(np.float32).tobytes()
    assert list(matrix.states) == states
    counted = [sum(float(m) >= 3.3 for m in row) / 300 for row in matrix.moic]
    assert matrix.win_probability.tolist() == counted
    assert min(counted) > 0


def test_a_winner_is_one_that_reaches_the_threshold_itself_and_not_its_float32_neighbor() -> None:
    moic = v1.generate(make_inputs()).moic
    reached = float(moic.max())
    just_above = math.nextafter(reached, math.inf)
    assert v1.generate(make_inputs(winner_multiple=reached)).win_probability.sum() == pytest.approx(1 / 60)
    assert v1.generate(make_inputs(winner_multiple=just_above)).win_probability.sum() == 0


@pytest.mark.parametrize("recycling", [make_inputs().recycling, RECYCLING], ids=["plain", "recycling"])
@given(key=st.text(max_size=20))
def test_the_same_key_gives_the_same_bytes_finite_and_not_negative(recycling: Recycling, key: str) -> None:
    inputs = make_inputs(sectors=1, scenario_count=15, matrix_key=key, recycling=recycling)
    first, second = v1.generate(inputs), v1.generate(inputs)
    assert first.moic.tobytes() == second.moic.tobytes()
    assert first.states == second.states
    assert np.isfinite(first.moic).all()
    assert (first.moic >= 0).all()


def test_another_key_gives_another_matrix() -> None:
    assert not np.array_equal(v1.generate(make_inputs()).moic, v1.generate(make_inputs(matrix_key="other")).moic)


def test_only_stage_sector_and_multiples_of_a_bucket_move_the_reference_model() -> None:
    inputs = make_inputs()
    other = tuple(
        dataclasses.replace(bucket, reserve_ratio=0.9, sector_risk_multiplier=2.0) for bucket in inputs.buckets
    )
    same = v1.generate(dataclasses.replace(inputs, buckets=other))
    assert same.moic.tobytes() == v1.generate(inputs).moic.tobytes()


def test_buckets_of_a_sector_share_its_shock_and_every_shock_stays_in_its_range() -> None:
    inputs = make_inputs(scenario_count=200)
    ranges = {regime.name: (regime.shock_min, regime.shock_max) for regime in inputs.regimes}
    for state in v1.generate(inputs).states:
        low, high = ranges[state.macro_regime]
        assert low <= state.regime_shock <= high
        assert all(-1 <= shock <= 1 for shock in state.systematic + state.idiosyncratic)
        by_sector: dict[str, set[float]] = {}
        for bucket, shock in zip(inputs.buckets, state.systematic, strict=True):
            by_sector.setdefault(bucket.sector, set()).add(shock)
        assert [len(shocks) for shocks in by_sector.values()] == [1, 1, 1]


def test_the_last_regime_takes_what_rounding_leaves() -> None:
    inputs = make_inputs(regimes=(Regime("never", 0.0, 0.0, 0.0), Regime("short", 0.0, 0.5, 0.5)), scenario_count=5)
    assert {state.macro_regime for state in v1.generate(inputs).states} == {"short"}


def certain(**rates: float) -> dict[Stage, StageTransitions]:
    fields = {"exit_rate": 0.0, "graduate_rate": 0.0, "failure_rate": 0.0, **rates}
    return {stage: StageTransitions(**fields) for stage in Stage}


def test_certain_failure_loses_everything_and_certain_exit_never_does() -> None:
    assert not v1.generate(make_inputs(transitions=certain(failure_rate=1.0))).moic.any()
    assert v1.generate(make_inputs(transitions=certain(exit_rate=1.0))).moic.all()


def test_staying_until_the_last_round_is_a_failure() -> None:
    assert not v1.generate(make_inputs(transitions=certain())).moic.any()


@pytest.mark.parametrize(("entry", "rounds"), [(Stage.SEED, 4), (Stage.B, 2), (Stage.C, 1)])
def test_graduating_from_c_is_an_exit_at_c_if_the_rounds_suffice(entry: Stage, rounds: int) -> None:
    rng = Xorshift32(1)
    assert v1.draw_exit_stage(entry, certain(graduate_rate=1.0), rounds, rng) is Stage.C
    assert v1.draw_exit_stage(entry, certain(graduate_rate=1.0), rounds - 1, rng) is None


def test_recycling_leaves_losers_alone_and_without_deals_only_multiplies_the_cash() -> None:
    no_deals = Recycling(enabled=True, utilization=0.5, cash_multiple=1.25, max_recycle_deals=0)
    plain, cashed = make_inputs(), make_inputs(recycling=no_deals)
    base, _ = v1.simulate(plain, Xorshift32(7))
    after, _ = v1.simulate(cashed, Xorshift32(7))
    np.testing.assert_array_equal(after, np.where(base > 1.0, base * 1.25, base))


def test_a_uniform_of_exactly_one_still_gives_a_finite_multiple() -> None:
    rng = Xorshift32(state_before(MASK_32))
    assert rng.next() == 1.0
    multiple = v1.draw_pareto(1.0, 1000.0, Xorshift32(state_before(MASK_32)))
    assert multiple == pytest.approx(0.25 * 2.0**66)
    assert np.isfinite(np.float32(multiple))


def test_a_seed_of_zero_is_replaced_so_that_the_generator_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZeroDigest:
        """No key is known whose sha256 begins with 32 zero bits; finding one takes some 2^32 attempts."""

        def digest(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr(xorshift.hashlib, "sha256", lambda _data: ZeroDigest())
    rng = Xorshift32(seed_of("any"))
    assert rng.state == 0x6D2B79F5
    assert len({rng.next() for _ in range(100)}) == 100


@given(key=st.text(max_size=30))
def test_the_seed_is_the_first_eight_hex_digits_of_the_keys_sha256(key: str) -> None:
    assert seed_of(key) == int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)


@pytest.mark.parametrize(("median", "p90"), [(0.0, 2.0), (-1.0, 2.0), (2.0, 2.0), (3.0, 2.0)])
def test_impossible_percentiles_are_refused(median: float, p90: float) -> None:
    with pytest.raises(BadInput, match="median"):
        v1.power_law_alpha(median, p90)


def test_multiples_beyond_float32_are_refused_instead_of_becoming_infinite() -> None:
    huge = (make_bucket(Stage.C, "S", 1e39, 1e40),)
    with pytest.raises(BadInput, match="float32"):
        v1.generate(make_inputs(buckets=huge, transitions=certain(exit_rate=1.0)))


def test_the_registry_knows_the_model_and_refuses_others() -> None:
    model = model_of("three_component_v1")
    inputs = make_inputs()
    assert model.generate(inputs).moic.tobytes() == v1.generate(inputs).moic.tobytes()
    assert model.matrix_companies(inputs).tolist() == [1] * 12
    with pytest.raises(BadInput, match="three_component_v1") as refused:
        model_of("three_component_v0")
    assert refused.value.problems[0].field == "sim_model_version"
