"""A named conflict is a real one, and no constraint in it is there for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.conflict_finder import conflicting_constraints
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.solver.backends import make_backend
from core.solver.program import SolveControl, SolverBackend
from core.solver.textbook import TextbookBackend
from core.stages import Stage
from tests.unit.core.limits_oracle import least_violation
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of
from tests.unit.core.tight_fund import tight_fund

CONTROL = SolveControl(work_limit=200_000)


def conflict_of(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    control: SolveControl = CONTROL,
    backend: SolverBackend | None = None,
) -> tuple[str, ...]:
    problem = PortfolioProblem.of(config, matrix)
    limits = Limits.of(config, matrix.n_scenarios)
    return conflicting_constraints(problem, limits, backend or make_backend(), control).constraints


def possible(config: NormalizedConfig, matrix: ScenarioMatrix, ids: list[str], margin: float) -> bool:
    return least_violation(config, matrix, None, margin=margin, enforced=ids) is not None


@pytest.mark.parametrize("seed", range(15))
def test_the_conflict_cannot_be_met_and_all_but_any_one_of_it_can(seed: int) -> None:
    config, matrix = tight_fund(seed)
    everything = [
        *(
            c.constraint_id
            for c in PortfolioProblem.of(config, matrix).linear_constraints(Limits.of(config, matrix.n_scenarios))
        ),
        "cvar_max",
        "p_loss_max",
    ]
    assert not possible(config, matrix, everything, 2e-6)
    conflict = conflict_of(config, matrix)
    assert conflict
    assert len(set(conflict)) == len(conflict)
    assert not possible(config, matrix, list(conflict), 2e-6)
    for one in conflict:
        assert possible(config, matrix, [other for other in conflict if other != one], -2e-9), one


def test_only_the_bounds_that_clash_are_named_and_not_their_whole_class() -> None:
    buckets = tuple(deal_bucket(Stage.SEED, sector) for sector in ("X", "Y", "Z"))
    rows = {f"Seed_{sector}": [2.0, 3.0] for sector in ("X", "Y", "Z")}
    bounds = {"X": WeightBounds(min=0.6), "Y": WeightBounds(min=0.1, max=0.9), "Z": WeightBounds(min=0.05)}
    config = make_config(buckets, sector_bounds=bounds, bucket_max_weight=0.5, cvar_limit=0.5)
    assert set(conflict_of(config, matrix_of(rows))) == {"sector_min_weight:X", "bucket_max_weight"}


def test_without_the_work_to_prove_anything_dispensable_everything_stays_named() -> None:
    config, matrix = tight_fund(3)
    # HiGHS proves nothing with one unit of work; the branch and bound is through with this fund before its first look.
    starved = replace(CONTROL, work_limit=1)
    narrow, full = conflict_of(config, matrix), conflict_of(config, matrix, starved, TextbookBackend())
    assert set(narrow) < set(full)
    assert {"cvar_max", "p_loss_max", "expected_winners_min", "bucket_max_weight"} <= set(full)
