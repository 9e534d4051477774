"""Cases small enough to be worked out by hand: the optimizer must give exactly these answers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from core.errors import Infeasible
from core.portfolio.optimize import Optimum, optimize
from core.request.normalized_config import WeightBounds
from core.solver.backends import make_backend
from core.solver.program import SolveControl
from core.stages import Stage, bucket_id
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of


def solve(rows: dict[tuple[Stage, str], list[float]], winners: float | list[float] = 0.0, **limits: Any) -> Optimum:
    """rows: multiples per scenario of each bucket, in bucket-key order; winners: chance of a winner, in each."""
    keys = [bucket_id(stage, sector) for stage, sector in rows]
    assert keys == sorted(keys)
    chances = np.broadcast_to(np.array(winners, dtype=np.float64), len(keys))
    matrix = matrix_of(dict(zip(keys, rows.values(), strict=True)), list(chances))
    settings = {"primary_lock_epsilon": 0.0, "scenario_count": matrix.n_scenarios, "work_limit": 60_000} | limits
    config = make_config(tuple(deal_bucket(stage, sector) for stage, sector in rows), **settings)
    control = SolveControl(work_limit=config.work_limit)
    return optimize(config, matrix, make_backend(), control, clock=time.perf_counter)


BETTER, WORSE = (Stage.SEED, "Better"), (Stage.SEED, "Worse")


def test_without_limits_everything_goes_to_the_better_bucket() -> None:
    optimum = solve({BETTER: [4.0, 2.0], WORSE: [2.0, 1.0]})
    assert optimum.weights == pytest.approx([1.0, 0.0], abs=1e-6)
    assert optimum.first_objective == pytest.approx(3.0)


def test_the_tie_break_spends_exactly_epsilon_on_spreading() -> None:
    # Means 3 and 1.5: moving 0.001 / 1.5 of capital costs 0.001 of MOIC.
    optimum = solve({BETTER: [4.0, 2.0], WORSE: [2.0, 1.0]}, primary_lock_epsilon=0.001)
    assert optimum.weights == pytest.approx([1 - 0.001 / 1.5, 0.001 / 1.5], abs=1e-7)


def test_buckets_that_are_equally_good_share_equally() -> None:
    optimum = solve({BETTER: [4.0, 2.0], WORSE: [2.0, 4.0]})
    assert optimum.weights == pytest.approx([0.5, 0.5], abs=1e-7)


def test_a_loss_cap_is_met_and_nearly_binds_by_the_strict_count() -> None:
    # The risky bucket loses in 3 of 10 scenarios, the safe one in none; alone, risky loses too often.
    risky, safe = (Stage.SEED, "Risky"), (Stage.SEED, "Safe")
    rows = {risky: [0.0, 0.2, 0.4, *[5.0] * 7], safe: [1.5] * 10}
    optimum = solve(rows, max_loss_probability=0.1)
    # One loss is allowed, and the worst takes it; in the next, 0.2 w + 1.5 (1 - w) >= 1 + 1e-6.
    assert optimum.figures.loss_count == 1
    assert optimum.weights[0] == pytest.approx((0.5 - 1e-6) / 1.3, abs=1e-8)
    assert [c.constraint_id for c in optimum.constraints if c.binding] == ["p_loss_max"]


def test_limits_that_cannot_be_met_are_relaxed_winners_first_and_loss_probability_last() -> None:
    only = (Stage.SEED, "Only")
    rows = {only: [0.5, 0.5, *[2.0] * 8]}
    # 100 deals of $1M with a 3% chance each: 3 winners, and no more.
    optimum = solve(rows, winners=0.03, max_loss_probability=0.1, min_expected_winners=5.0)
    assert [bound.type for bound in optimum.relaxations] == ["expected_winners_min", "p_loss_max"]
    winners, losses = optimum.relaxations
    assert (winners.direction, winners.old) == ("decrease", 5.0)
    assert winners.new == pytest.approx(3.0, abs=1e-6)
    assert (losses.direction, losses.old, losses.new) == ("increase", 0.1, 0.2)
    assert all(bound.class_violation == pytest.approx(bound.class_proven, abs=1e-6) for bound in optimum.relaxations)
    assert all(constraint.satisfied for constraint in optimum.constraints)


def test_with_relaxation_off_the_conflict_is_named_and_nothing_else() -> None:
    only = (Stage.SEED, "Only")
    with pytest.raises(Infeasible, match="no portfolio has losses in at most 10% of scenarios; loosen") as raised:
        solve({only: [0.5, 0.5, *[2.0] * 8]}, max_loss_probability=0.1, cvar_limit=0.9, relaxation_mode="off")
    assert "CVaR" not in str(raised.value)


def test_cvar_binds_at_the_weight_worked_out_by_hand_with_a_fractional_tail() -> None:
    # Confidence 0.7 of 5 scenarios: a tail of 1.5. Losses of the risky bucket: 1 and 0.5; the safe one returns 1.
    risky, safe = (Stage.SEED, "Risky"), (Stage.SEED, "Safe")
    rows = {risky: [0.0, 0.5, 3.0, 3.0, 3.0], safe: [1.0] * 5}
    optimum = solve(rows, cvar_confidence_level=0.7, cvar_limit=0.25)
    # CVaR(w) = w (1 + 0.5 * 0.5) / 1.5 = 0.25
    assert optimum.weights[0] == pytest.approx(0.25 * 1.5 / 1.25, abs=1e-7)
    assert optimum.figures.cvar == pytest.approx(0.25, abs=1e-7)


def test_a_bucket_maximum_of_one_over_the_number_of_buckets_leaves_no_choice() -> None:
    rows = {(Stage.A, "X"): [1.0], (Stage.B, "X"): [2.0], (Stage.C, "X"): [9.0], (Stage.SEED, "X"): [4.0]}
    assert solve(rows, bucket_max_weight=0.25).weights == pytest.approx([0.25] * 4, abs=1e-9)


def test_sector_and_stage_bounds_bind_where_the_best_bucket_wants_more() -> None:
    rows = {(Stage.A, "X"): [3.0], (Stage.A, "Y"): [2.0], (Stage.SEED, "X"): [5.0], (Stage.SEED, "Y"): [1.0]}
    bounds = {"sector_bounds": {"X": WeightBounds(max=0.7)}, "stage_bounds": {Stage.SEED: WeightBounds(max=0.4)}}
    # 0.4 in Seed X at 5, 0.3 in A X at 3, the other 0.3 at best in A Y at 2.
    assert solve(rows, **bounds).weights == pytest.approx([0.3, 0.3, 0.4, 0.0], abs=1e-7)


def test_expected_winners_bind_at_the_weight_worked_out_by_hand() -> None:
    # $1M a deal, so weight w buys 100 w deals: w + 5 (1 - w) winners, 3 of them at w = 1/2.
    rows = {BETTER: [4.0, 2.0], WORSE: [2.0, 1.0]}
    optimum = solve(rows, winners=[0.01, 0.05], min_expected_winners=3.0)
    assert optimum.weights == pytest.approx([0.5, 0.5], abs=1e-7)
    assert optimum.figures.expected_winners == pytest.approx(3.0)
    assert [c.constraint_id for c in optimum.constraints if c.binding] == ["expected_winners_min"]


def test_of_two_sets_of_losses_the_cheaper_one_is_chosen() -> None:
    # One loss is allowed. Giving up the first scenario needs 0.9 + 0.6 v >= 1, so v = 1/6 in B; giving up the second
    # needs 0.5 + 2 u >= 1 with u = 1/4 in C. B costs 3 - 2 = 1 a unit, C costs 3 - 1 = 2: the first is given up.
    rows = {(Stage.A, "X"): [0.5, 0.9, 7.6], (Stage.B, "X"): [0.5, 1.5, 4.0], (Stage.C, "X"): [2.5, 0.0, 0.5]}
    optimum = solve(rows, max_loss_probability=0.34)
    assert optimum.weights == pytest.approx([5 / 6, 1 / 6, 0.0], abs=1e-5)
    assert optimum.first_objective == pytest.approx(3.0 - 1 / 6, abs=1e-5)
