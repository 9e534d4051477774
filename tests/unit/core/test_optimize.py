"""What holds of every optimization, whatever the fund: its answer is strict, proven, repeatable and explained."""

from __future__ import annotations

from dataclasses import asdict, replace
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np
import pytest

from core.errors import Cancelled, Infeasible, NoAnswerWithinLimit
from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.limits import Limits
from core.portfolio.optimize import Optimum, optimize
from core.portfolio.problem import PortfolioProblem
from core.request.normalized_config import ConfiguredBucket, NormalizedConfig, WeightBounds
from core.risk.recheck import recheck
from core.simulation.models import model_of
from core.solver.backends import make_backend
from core.solver.program import SolveControl
from core.stages import Stage
from tests.unit.core.simulated_fund import config_of, make_inputs
from tests.unit.core.tight_fund import tight_fund

CONTROL = SolveControl(work_limit=200_000)
GAP = CONTROL.relative_gap
Fund = tuple[NormalizedConfig, ScenarioMatrix]


def run(fund: Fund, control: SolveControl = CONTROL) -> Optimum:
    ticks = count()
    return optimize(*fund, make_backend(), control, clock=lambda: float(next(ticks)))


def fund_of(seed: int, **limits: Any) -> Fund:
    """Eight buckets, 40 scenarios; limits that bind and can be met."""
    inputs = make_inputs(2, matrix_key=f"optimise-{seed}", scenario_count=40)
    asked: dict[str, Any] = {
        "max_loss_probability": 0.25,
        "cvar_confidence_level": 0.9,
        "cvar_limit": 0.65,
        "bucket_max_weight": 0.4,
        "min_expected_winners": 1.0,
        "sector_bounds": {"S00": WeightBounds(min=0.2, max=0.7)},
        "stage_bounds": {Stage.SEED: WeightBounds(max=0.6)},
    }
    return config_of(inputs, **(asked | limits)), model_of("three_component_v1").generate(inputs)


FUNDS = range(6)


@pytest.fixture(scope="module", params=FUNDS)
def solved(request: pytest.FixtureRequest) -> tuple[Fund, Optimum]:
    fund = fund_of(request.param)
    return fund, run(fund)


def test_every_reported_figure_is_what_exact_arithmetic_makes_of_the_weights(solved: tuple[Fund, Optimum]) -> None:
    (config, matrix), optimum = solved
    weights = [Fraction(float(w)) for w in optimum.weights]
    multiples = [sum(w * Fraction(float(m)) for w, m in zip(weights, column, strict=True)) for column in matrix.moic.T]
    figures = optimum.figures
    assert figures.expected_moic == pytest.approx(float(sum(multiples) / 40), abs=1e-12)
    assert figures.loss_count == sum(multiple < 1 - Fraction(1, 10**9) for multiple in multiples)
    assert figures.loss_probability == figures.loss_count / 40
    worst = sorted((max(Fraction(0), 1 - multiple) for multiple in multiples), reverse=True)[:4]
    assert figures.cvar == pytest.approx(float(sum(worst) / 4), abs=1e-12)
    deals = [
        w * Fraction(config.total_fund_size_usd) / Fraction(b.all_in_cost_usd)
        for w, b in zip(weights, config.buckets, strict=True)
    ]
    winners = sum(d * Fraction(float(p)) for d, p in zip(deals, matrix.win_probability, strict=True))
    assert figures.expected_winners == pytest.approx(float(winners), abs=1e-9)


def test_the_answer_keeps_every_limit_and_nothing_is_relaxed(solved: tuple[Fund, Optimum]) -> None:
    (config, matrix), optimum = solved
    assert optimum.relaxations == ()
    assert optimum.limits == Limits.of(config, 40)
    assert recheck(optimum.weights, matrix, config, optimum.limits).feasible
    assert all(status.satisfied for status in optimum.constraints)
    assert any(status.binding for status in optimum.constraints if status.type == "p_loss_max")
    assert np.all(optimum.weights >= 0)
    assert optimum.weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_the_tie_break_costs_at_most_epsilon_and_is_no_farther_from_equal_weights(
    solved: tuple[Fund, Optimum],
) -> None:
    (config, matrix), optimum = solved
    problem = PortfolioProblem.of(config, matrix)
    first = make_backend().maximize(problem.program(optimum.limits), CONTROL)
    assert optimum.first_objective == first.objective
    assert optimum.figures.expected_moic >= first.objective - config.primary_lock_epsilon - 1e-7
    farther = np.abs(first.x - 1 / 8).sum()
    tie_break = optimum.audit["tieBreak"]
    assert tie_break["deviation"] == pytest.approx(np.abs(optimum.weights - 1 / 8).sum(), abs=1e-12)
    assert tie_break["deviationBound"] - 1e-9 <= tie_break["deviation"] <= farther + 1e-9
    assert tie_break["proven"]


def test_repeated_runs_give_the_same_bytes(solved: tuple[Fund, Optimum]) -> None:
    fund, optimum = solved
    again = run(fund)
    assert again.weights.tobytes() == optimum.weights.tobytes()
    assert again.first_weights.tobytes() == optimum.first_weights.tobytes()
    arrays = {"weights": None, "first_weights": None}
    assert asdict(again) | arrays == asdict(optimum) | arrays


def test_scaling_the_fund_and_its_checks_alike_leaves_the_weights(solved: tuple[Fund, Optimum]) -> None:
    (config, matrix), optimum = solved
    buckets = tuple(b.model_copy(update={"initial_check_usd": b.initial_check_usd * 1024}) for b in config.buckets)
    scaled = config.model_copy(update={"total_fund_size_usd": config.total_fund_size_usd * 1024, "buckets": buckets})
    assert run((scaled, matrix)).weights.tobytes() == optimum.weights.tobytes()


@pytest.mark.parametrize("seed", FUNDS)
def test_other_names_permute_the_answer_and_change_nothing_else(seed: int) -> None:
    # Without room for a tie-break the best vertex is the only answer.
    config, matrix = fund_of(seed, primary_lock_epsilon=0.0)
    renamed, names = renaming(config, matrix)
    original, other = run((config, matrix)), run(renamed)
    assert other.first_objective == pytest.approx(original.first_objective, rel=2 * GAP)
    by_name = {b.bucket_id: w for b, w in zip(renamed[0].buckets, other.weights, strict=True)}
    permuted = [by_name[names[bucket.bucket_id]] for bucket in config.buckets]
    assert permuted == pytest.approx(original.weights.tolist(), abs=1e-6)


def renaming(config: NormalizedConfig, matrix: ScenarioMatrix) -> tuple[Fund, dict[str, str]]:
    """The same fund with its sectors renamed so that the buckets come in another order; old to new bucket ids."""
    new_sector = {"S00": "Z", "S01": "Q"}
    buckets: list[tuple[ConfiguredBucket, int]] = []
    for row, bucket in enumerate(config.buckets):
        sector = new_sector[bucket.sector]
        update = {"sector": sector, "bucket_id": f"{bucket.stage}_{sector}"}
        buckets.append((bucket.model_copy(update=update), row))
    buckets.sort(key=lambda pair: pair[0].bucket_id)
    rows = [row for _, row in buckets]
    assert rows != sorted(rows)
    keys = tuple(bucket.bucket_id for bucket, _ in buckets)
    moved = replace(
        matrix,
        moic=np.ascontiguousarray(matrix.moic[rows]),
        bucket_keys=keys,
        win_probability=matrix.win_probability[rows],
    )
    bounds = {new_sector[name]: limits for name, limits in config.sector_bounds.items()}
    renamed = config.model_copy(update={"buckets": tuple(b for b, _ in buckets), "sector_bounds": bounds})
    return (renamed, moved), {config.buckets[row].bucket_id: bucket.bucket_id for bucket, row in buckets}


@pytest.mark.parametrize(
    "looser",
    [
        {"max_loss_probability": 0.3},
        {"cvar_limit": 0.85},
        {"bucket_max_weight": 0.5},
        {"bucket_max_weight": None},
        {"min_expected_winners": 0.5},
        {"sector_bounds": {"S00": WeightBounds(min=0.1, max=0.8)}},
        {"stage_bounds": {}},
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_loosening_a_limit_never_lowers_the_first_objective(seed: int, looser: dict[str, Any]) -> None:
    tight, loose = run(fund_of(seed)), run(fund_of(seed, **looser))
    assert loose.first_objective >= tight.first_objective * (1 - GAP) - 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_what_cannot_be_met_is_relaxed_and_then_kept_and_explained(seed: int) -> None:
    fund = tight_fund(seed)
    config, matrix = fund
    optimum = run(fund)
    assert optimum.relaxations
    assert recheck(optimum.weights, matrix, config, optimum.limits).feasible
    assert all(status.satisfied for status in optimum.constraints)
    moved = {bound.constraint_id: bound for bound in optimum.relaxations}
    for status in optimum.constraints:
        bound = moved.get(status.constraint_id)
        assert status.relaxed_from == (bound.old if bound else None)
        if bound:
            assert status.required == bound.new
    assert set(moved) <= {status.constraint_id for status in optimum.constraints}
    assert optimum.audit["relaxationSeconds"] == 1.0
    # The proof that nothing meets every limit is part of the primary solve, and of the work.
    assert optimum.audit["pass1Seconds"] == 2.0


def test_with_relaxation_off_the_same_fund_is_refused() -> None:
    config, matrix = tight_fund(2)
    with pytest.raises(Infeasible, match=r"no portfolio has a CVaR of at most [0-9.]+%; loosen this limit"):
        run((config.model_copy(update={"relaxation_mode": "off"}), matrix))


def test_the_steps_are_announced_in_their_order() -> None:
    seen: list[str] = []
    optimize(*fund_of(0), make_backend(), CONTROL, clock=lambda: 0.0, stage=seen.append)
    assert seen == ["primary solve", "tie-break", "uniqueness", "prices"]
    seen.clear()
    optimize(*tight_fund(0), make_backend(), CONTROL, clock=lambda: 0.0, stage=seen.append)
    assert seen == ["primary solve", "conflict", "relaxation", "primary solve", "tie-break", "uniqueness", "prices"]


def test_a_spent_work_limit_gives_an_answer_with_its_gap_or_says_that_there_is_none() -> None:
    short = run(fund_of(1), replace(CONTROL, work_limit=2))
    assert short.audit["status"] == "feasible"
    assert short.audit["reproducible"]
    full = run(fund_of(1))
    assert full.audit["status"] == "optimal"
    assert short.audit["bound"] >= full.first_objective
    assert short.audit["gap"] > full.audit["gap"]
    with pytest.raises(NoAnswerWithinLimit, match="raise workLimit"):
        run(fund_of(6), replace(CONTROL, work_limit=1))


def test_a_cancel_ends_it_in_every_step_and_time_is_confessed() -> None:
    calls = count()
    run(fund_of(2), replace(CONTROL, interrupted=lambda: (next(calls), None)[1]))
    asked = next(calls)
    for moment in (0, asked // 4, asked // 2, 3 * asked // 4, asked - 2):
        ticks = count()
        with pytest.raises(Cancelled):
            run(fund_of(2), interrupted_at(moment, ticks, "cancelled"))
    late = run(fund_of(2), interrupted_at(3 * asked // 4, count(), "time"))
    assert not late.audit["reproducible"]
    assert recheck(late.weights, fund_of(2)[1], fund_of(2)[0], late.limits).feasible


def interrupted_at(moment: int, ticks: Any, why: str) -> SolveControl:
    return replace(CONTROL, interrupted=lambda: why if next(ticks) >= moment else None)
