"""Explanations say in words what is proven, no more, and their numbers are those of an independent program."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.matrix.scenario_matrix import ScenarioMatrix
from core.portfolio.conflict import ConflictExplanation, explain_conflict
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.relax import RelaxedBound
from core.portfolio.relaxation_explanation import explain_relaxation, explain_single_limit_repair
from core.portfolio.single_limit_repairs import SingleLimitRepair, single_limit_repairs
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.solver.backends import make_backend
from core.solver.program import SolveControl
from core.solver.textbook import TextbookBackend
from core.stages import Stage
from tests.unit.core.limits_oracle import least_violation
from tests.unit.core.simulated_fund import deal_bucket, make_config, matrix_of
from tests.unit.core.test_optimize import run
from tests.unit.core.tight_fund import tight_fund

CONTROL = SolveControl(work_limit=400_000)


def explained(config: NormalizedConfig, matrix: ScenarioMatrix) -> ConflictExplanation:
    problem = PortfolioProblem.of(config, matrix)
    return explain_conflict(problem, Limits.of(config, matrix.n_scenarios), make_backend(), CONTROL)


def in_conflict(seed: int) -> tuple[NormalizedConfig, ScenarioMatrix]:
    """Limits that can be met one by one, so that a conflict has several single-limit repairs."""
    config, matrix = tight_fund(seed)
    return config.model_copy(
        update={
            "max_loss_probability": 0.6,
            "cvar_limit": 0.75,
            "bucket_max_weight": 0.3,
            "stage_bounds": {},
        }
    ), matrix


CONFLICTS = (1, 4, 6, 8, 12, 15, 16, 18, 34, 68)
"""Seeds of `in_conflict` where no portfolio meets every limit, though one limit less could be met."""


@pytest.mark.parametrize("seed", CONFLICTS)
def test_each_repair_moves_its_limit_just_as_far_as_the_others_require(seed: int) -> None:
    config, matrix = in_conflict(seed)
    conflict = explained(config, matrix)
    assert {repair.constraint_id for repair in conflict.single_limit_repairs} == set(conflict.constraints)
    for repair in conflict.single_limit_repairs:
        assert set(repair.given) == set(conflict.constraints) - {repair.constraint_id}
        assert repair.achieved is not None
        only = _only(config, repair.constraint_id)
        strict = least_violation(only, matrix, repair.type, margin=2e-6, enforced=repair.given)
        loose = least_violation(only, matrix, repair.type, margin=-2e-9, enforced=repair.given)
        assert strict is not None
        assert loose is not None
        if repair.type == "p_loss_max":
            allowed = Limits.of(config, matrix.n_scenarios).max_losses
            assert round(repair.proven * matrix.n_scenarios) - allowed <= strict
            assert round(repair.achieved * matrix.n_scenarios) - allowed >= loose
        else:
            assert abs(repair.proven - repair.asked) <= strict + 1e-6
            assert abs(repair.achieved - repair.asked) >= loose - 1e-6
        assert repair.achieved == pytest.approx(repair.proven, abs=3e-6)


def _only(config: NormalizedConfig, constraint_id: str) -> NormalizedConfig:
    """The oracle moves whole classes: siblings of the bound in question become bounds that hold anyway."""
    kind, _, name = constraint_id.partition(":")
    if not kind.startswith("sector"):
        return config
    side = "min" if "min" in kind else "max"
    anyway = {"min": 0.0, "max": 1.0}[side]
    bounds = {
        other: limits if other == name else limits.model_copy(update={side: anyway})
        for other, limits in config.sector_bounds.items()
    }
    return config.model_copy(update={"sector_bounds": bounds})


def test_two_limits_that_conflict_are_explained_from_both_sides() -> None:
    # X alone never loses; Y loses in 3 of 4 scenarios. Half in Y is enough to lose in two of them.
    buckets = (deal_bucket(Stage.SEED, "X"), deal_bucket(Stage.SEED, "Y"))
    matrix = matrix_of({"Seed_X": [1.2, 1.2, 1.2, 1.2], "Seed_Y": [0.0, 0.0, 0.9, 9.0]})
    config = make_config(buckets, max_loss_probability=0.25, bucket_max_weight=0.5, relaxation_mode="off")
    conflict = explained(config, matrix)
    assert conflict.constraints == ("bucket_max_weight", "p_loss_max")
    assert conflict.sentences == (
        "No portfolio with losses in at most 25% of scenarios keeps every bucket below 83.3%; your limit was 50%.",
        (
            "No portfolio with at most 50% a bucket loses money in fewer than 50% of scenarios (2 of 4); "
            "your limit was 25%."
        ),
    )
    assert str(conflict).splitlines()[1:] == list(conflict.sentences)


def test_without_the_work_to_find_anything_out_nothing_is_claimed() -> None:
    config, matrix = in_conflict(6)
    problem, limits = PortfolioProblem.of(config, matrix), Limits.of(config, matrix.n_scenarios)
    hasty = explain_conflict(problem, limits, TextbookBackend(), replace(CONTROL, work_limit=2))
    assert hasty.single_limit_repairs == hasty.sentences == ()
    assert len(hasty.constraints) > 2


def test_every_relaxed_bound_comes_with_a_sentence_and_the_conflict_with_its_own() -> None:
    optimum = run(tight_fund(4))
    assert len(optimum.explanations) == len(optimum.relaxations)
    by_id = dict(zip((bound.constraint_id for bound in optimum.relaxations), optimum.explanations, strict=True))
    assert by_id["p_loss_max"] == (
        "No portfolio loses money in fewer than 42.11% of scenarios (8 of 19); your limit was 10%."
    )
    assert by_id["cvar_max"] == (
        "No portfolio within the limits on losing scenarios as moved has a CVaR below 75.7%; your limit was 20%."
    )
    assert optimum.conflict is not None
    assert optimum.conflict.sentences == ("No portfolio has a CVaR below 57.6%; your limit was 20%.",)


WINNERS = SingleLimitRepair(
    "expected_winners_min", "expected_winners_min", 1.75, 1.6249, 1.6249, ("sector_max_weight:AI",)
)
ASKED = {"sector_max_weight:AI": 0.2, "stage_min_weight:Seed": 0.1, "bucket_max_weight": 0.15, "p_loss_max": 0.08}

SENTENCES = {
    "a minimum": (WINNERS, "No portfolio with at most 20% in AI expects more than 1.63 winners; your limit was 1.75."),
    "a sector": (
        SingleLimitRepair(
            "sector_max_weight:AI", "sector_max_weight", 0.2, 0.23456, 0.23456, ("stage_min_weight:Seed",)
        ),
        "No portfolio with at least 10% in stage Seed has less than 23.4% in AI; your limit was 20%.",
    ),
    "losses": (
        SingleLimitRepair("p_loss_max", "p_loss_max", 0.08, 0.1125, 0.1125, ("bucket_max_weight",)),
        (
            "No portfolio with at most 15% a bucket loses money in fewer than 11.25% of scenarios (45 of 400); "
            "your limit was 8%."
        ),
    ),
    "an interval": (
        SingleLimitRepair("p_loss_max", "p_loss_max", 0.08, 0.1, 0.1125, ()),
        (
            "No portfolio loses money in fewer than 10% of scenarios (40 of 400); the best that was found loses money "
            "in 11.3% of scenarios, and what lies between is not proven; your limit was 8%."
        ),
    ),
    "nothing proven but the conflict": (
        SingleLimitRepair("cvar_max", "cvar_max", 0.3, 0.3, 0.412, ("bucket_max_weight", "p_loss_max")),
        (
            "No portfolio with at most 15% a bucket and losses in at most 8% of scenarios has a CVaR of at most 30%; "
            "the best that was found has 41.2%, and what lies between is not proven; your limit was 30%."
        ),
    ),
    "nothing found": (
        SingleLimitRepair("cvar_max", "cvar_max", 0.3, 0.35, None, ()),
        (
            "No portfolio has a CVaR below 35.0%; how much more would be needed was not found within the work limit; "
            "your limit was 30%."
        ),
    ),
    "a hair's breadth": (
        SingleLimitRepair("cvar_max", "cvar_max", 0.35, 0.350012, 0.350012, ()),
        "No portfolio has a CVaR below 35.001%; your limit was 35%.",
    ),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_single_limit_repair_in_words(kind: str) -> None:
    repair, sentence = SENTENCES[kind]
    assert explain_single_limit_repair(repair, ASKED, 400) == sentence


def test_a_class_of_several_bounds_is_spoken_of_in_total() -> None:
    relaxed = [
        RelaxedBound("sector_max_weight:AI", "sector_max_weight", "increase", 0.2, 0.22, 0.05, 0.05),
        RelaxedBound("sector_max_weight:Bio", "sector_max_weight", "increase", 0.2, 0.23, 0.05, 0.05),
        RelaxedBound("p_loss_max", "p_loss_max", "increase", 0.1, 0.2, 0.1, 0.1),
    ]
    classes = {"sector_max_weight", "cvar_max", "p_loss_max"}
    assert explain_relaxation(relaxed[0], relaxed, classes, 100) == (
        "No portfolio within the limits on losing scenarios as moved and CVaR keeps all sector maxima; in total they "
        "must be relaxed by at least 5.0 percentage points."
    )
    unproven = [replace(bound, class_proven=0.0) for bound in relaxed]
    assert "was found that keeps all sector maxima; 5.0 percentage points in total was enough" in explain_relaxation(
        unproven[0], unproven, classes, 100
    )


def test_the_bounds_of_a_sum_are_explained_too() -> None:
    buckets = tuple(deal_bucket(Stage.SEED, sector) for sector in ("X", "Y", "Z"))
    rows = {f"Seed_{sector}": [2.0, 3.0] for sector in ("X", "Y", "Z")}
    config = make_config(buckets, sector_bounds={"X": WeightBounds(min=0.6)}, bucket_max_weight=0.5)
    assert explained(config, matrix_of(rows)).sentences == (
        "No portfolio with at least 60% in X keeps every bucket below 60.0%; your limit was 50%.",
        "No portfolio with at most 50% a bucket has more than 50.0% in X; your limit was 60%.",
    )


@pytest.mark.parametrize("work_limit", [30, 400])
def test_with_little_work_a_repair_is_an_interval_around_the_true_one(work_limit: int) -> None:
    open_ones = 0
    for seed in CONFLICTS:
        config, matrix = in_conflict(seed)
        problem, limits = PortfolioProblem.of(config, matrix), Limits.of(config, matrix.n_scenarios)
        full = explained(config, matrix)
        true = {repair.constraint_id: repair for repair in full.single_limit_repairs}
        hasty = single_limit_repairs(
            problem, limits, full.constraints, TextbookBackend(), replace(CONTROL, work_limit=work_limit)
        )
        for repair in hasty.repairs:
            exact = true[repair.constraint_id]
            assert exact.achieved is not None
            needed = abs(exact.achieved - repair.asked)
            assert abs(repair.proven - repair.asked) <= needed + 3e-6
            if repair.achieved is not None:
                assert abs(repair.achieved - repair.asked) >= abs(exact.proven - repair.asked) - 3e-6
                open_ones += abs(repair.achieved - repair.proven) > 1e-5
    assert open_ones > 0
