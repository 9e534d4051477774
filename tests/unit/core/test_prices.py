"""What binds, and what it costs: against differences of an independent program, and worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.shadow_prices import ShadowPrice, ShadowPrices, binding_shadow_prices
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.solver.backends import make_backend
from core.solver.feasibility import multiples
from core.solver.program import ChanceProgram, Polytope, SolveControl, SolveOutcome
from core.stages import Stage
from tests.unit.core.oracles import textbook_mip
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of
from tests.unit.core.test_optimize import fund_of

CONTROL = SolveControl(work_limit=200_000, relative_gap=0.0)
MARGIN = 1e-6
"""Answers keep this distance from a loss, and so do prices."""


def priced(
    config: NormalizedConfig, matrix: ScenarioMatrix, control: SolveControl = CONTROL
) -> tuple[PortfolioProblem, SolveOutcome, ShadowPrices]:
    problem = PortfolioProblem.of(config, matrix)
    limits = Limits.of(config, matrix.n_scenarios)
    first = make_backend().maximize(problem.program(limits), CONTROL)
    return problem, first, binding_shadow_prices(problem, limits, first, make_backend(), control)


def optimum_with_fixed_losses(program: ChanceProgram, x: np.ndarray) -> float:
    """The linear program by HiGHS's modelling layer: every scenario but the worst ones of x held above 1."""
    held = np.argsort(multiples(program, x), kind="stable")[program.max_losses :]
    polytope = program.polytope
    fixed = replace(
        program,
        polytope=Polytope(
            rows=np.vstack([polytope.rows, program.payoffs[held]]),
            row_lower=np.append(polytope.row_lower, np.full(len(held), 1.0 + MARGIN)),
            row_upper=np.append(polytope.row_upper, np.full(len(held), np.inf)),
            lower=polytope.lower,
            upper=polytope.upper,
        ),
        max_losses=len(program.payoffs),
    )
    return textbook_mip(fixed, 0.0).objective


def loosened(limits: Limits, constraint_id: str, step: float) -> Limits:
    kind, _, name = constraint_id.partition(":")
    if kind == "cvar_max":
        return replace(limits, cvar_limit=limits.cvar_limit + step)
    if kind == "expected_winners_min":
        return replace(limits, min_expected_winners=limits.min_expected_winners - step)
    if kind == "bucket_max_weight":
        return replace(limits, bucket_max_weight=limits.bucket_max_weight + step)
    field = "sector_bounds" if kind.startswith("sector") else "stage_bounds"
    key = name if field == "sector_bounds" else Stage(name)
    bounds = getattr(limits, field)
    old = bounds[key]
    new = (
        WeightBounds(min=old.min - step, max=old.max)
        if "min" in kind
        else WeightBounds(min=old.min, max=old.max + step)
    )
    return replace(limits, **{field: {**bounds, key: new}})


LIMITS = [
    {"max_loss_probability": 0.3, "cvar_limit": 0.68, "bucket_max_weight": 0.3, "min_expected_winners": 1.6},
    {"max_loss_probability": 0.45, "cvar_limit": 0.6},
    {"max_loss_probability": 1.0, "cvar_limit": 0.6, "cvar_confidence_level": 0.83},
]


@pytest.mark.parametrize("limits", range(len(LIMITS)))
@pytest.mark.parametrize("seed", range(5))
def test_a_dual_is_the_slope_to_the_loose_side_of_the_program_with_fixed_losses(seed: int, limits: int) -> None:
    config, matrix = fund_of(seed, **LIMITS[limits])
    problem, first, prices = priced(config, matrix)
    assert first.x is not None
    assert prices.complete
    asked = Limits.of(config, matrix.n_scenarios)
    base = optimum_with_fixed_losses(problem.program(asked), first.x)
    ids = {c.constraint_id for c in problem.linear_constraints(asked)} | {"cvar_max"}
    slopes = {}
    for constraint_id in ids:
        step = 2e-5
        moved = problem.program(loosened(asked, constraint_id, step))
        slopes[constraint_id] = (optimum_with_fixed_losses(moved, first.x) - base) / step
    for constraint_id, slope in slopes.items():
        price = prices.by_constraint[constraint_id]
        assert price.gain_per_unit == pytest.approx(slope, abs=1e-3), constraint_id
        assert (price.basis, price.gain_at_least) == ("dual_with_fixed_losses", None)
        assert price.step == (0.1 if constraint_id == "expected_winners_min" else 0.01)
        farther = optimum_with_fixed_losses(problem.program(loosened(asked, constraint_id, price.step)), first.x)
        assert price.gain == pytest.approx(farther - base, abs=1e-5), constraint_id
    assert any(slope > 0.01 for slope in slopes.values())


@pytest.mark.parametrize("seed", range(5))
def test_one_more_losing_scenario_is_solved_and_its_gain_lies_in_what_is_proven(seed: int) -> None:
    config, matrix = fund_of(seed)
    problem, first, prices = priced(config, matrix)
    price = prices.by_constraint["p_loss_max"]
    limits = Limits.of(config, 40)
    more = textbook_mip(problem.program(replace(limits, max_losses=limits.max_losses + 1)), 2e-6)
    assert first.objective is not None
    gain = more.objective - first.objective
    assert price.basis == "one_more_losing_scenario"
    assert price.gain == pytest.approx(gain, abs=2e-4)
    assert (price.step, price.gain_per_unit) == (1 / 40, pytest.approx(40 * price.gain))
    assert price.gain_at_least - 1e-5 <= gain <= price.gain_at_most + 1e-5
    assert price.gain_at_least <= price.gain <= price.gain_at_most


def test_at_a_kink_the_slope_is_that_of_the_loose_side() -> None:
    # X returns 3, Y 2, Z 1. The cap of one half on each: at most half in X, the rest in Y. Loosening the cap by t moves
    # t from Y to X: 1 per unit. Tightening it by t takes t from X and t from Y and puts 2 t into Z: 3 per unit.
    buckets = tuple(deal_bucket(Stage.SEED, sector) for sector in "XYZ")
    matrix = matrix_of({"Seed_X": [3.0], "Seed_Y": [2.0], "Seed_Z": [1.0]})
    _, _, prices = priced(make_config(buckets, bucket_max_weight=0.5), matrix)
    assert prices.by_constraint["bucket_max_weight"].gain_per_unit == pytest.approx(1.0, abs=1e-7)


def test_the_price_of_winners_is_per_company() -> None:
    # All capital in X makes 10 winners and multiple 1.5, in Y none and 2.5: one winner less frees a tenth.
    buckets = (deal_bucket(Stage.SEED, "X"), deal_bucket(Stage.SEED, "Y"))
    matrix = matrix_of({"Seed_X": [1.5], "Seed_Y": [2.5]}, [0.1, 0.0])
    _, _, prices = priced(make_config(buckets, min_expected_winners=4.0), matrix)
    assert prices.by_constraint["expected_winners_min"] == ShadowPrice(
        "dual_with_fixed_losses", pytest.approx(0.1), 0.1, pytest.approx(0.01)
    )


def test_a_limit_that_holds_nothing_back_has_no_price() -> None:
    buckets = (deal_bucket(Stage.SEED, "X"), deal_bucket(Stage.SEED, "Y"))
    matrix = matrix_of({"Seed_X": [1.5, 1.2], "Seed_Y": [2.5, 1.1]})
    _, _, prices = priced(make_config(buckets, sector_bounds={"X": WeightBounds(max=0.9)}), matrix)
    assert {price.gain_per_unit for price in prices.by_constraint.values()} == {0.0}
    assert prices.complete


def test_without_the_work_to_settle_them_prices_are_incomplete_and_not_guessed() -> None:
    config, matrix = fund_of(1)
    _, _, prices = priced(config, matrix, replace(CONTROL, work_limit=3))
    assert not prices.complete
    assert all(price.basis == "one_more_losing_scenario" for price in prices.by_constraint.values())
