"""The reserve engine equals its golden cases and never makes or loses a cent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.reserve_engine import (
    ConstrainedReserveEngine,
    ReserveCompany,
    ReserveConstraints,
    ReserveResult,
    StagePolicy,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "constrained_reserve.json").read_text())["cases"]

STAGES = ["seed", "series_a", "series_b"]
POLICIES = {"seed": StagePolicy(2.0), "series_a": StagePolicy(3.0, 0.7), "series_b": StagePolicy(1.5)}


def run_golden(case: dict[str, Any]) -> ReserveResult:
    document = case["input"]
    wanted = document.get("constraints", {})
    engine = ConstrainedReserveEngine(
        stage_policies={p["stage"]: StagePolicy(p["reserveMultiple"], p["weight"]) for p in document["stagePolicies"]},
        constraints=ReserveConstraints(
            min_check_usd=wanted.get("minCheck", 0.0),
            max_per_company_usd=wanted.get("maxPerCompany"),
            max_per_stage_usd=wanted.get("maxPerStage", {}),
        ),
    )
    companies = [ReserveCompany(c["id"], c["name"], c["stage"]) for c in document["companies"]]
    return engine.allocate(document["availableReserves"], companies)


@pytest.mark.parametrize("case", [c for c in GOLDEN if "expected" in c], ids=lambda case: case["label"])
def test_allocations_equal_the_golden_ones(case: dict[str, Any]) -> None:
    result = run_golden(case)
    expected = case["expected"]
    assert [
        {"id": a.id, "name": a.name, "stage": a.stage, "allocated": a.allocated_cents / 100} for a in result.allocations
    ] == expected["allocations"]
    assert result.total_allocated_cents == expected["totalAllocated"] * 100
    assert result.remaining_cents == expected["remaining"] * 100


@pytest.mark.parametrize("case", [c for c in GOLDEN if "error" in c], ids=lambda case: case["label"])
def test_the_golden_error_is_an_error_with_the_same_words(case: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=case["error"]):
        run_golden(case)


amounts = st.floats(0, 1e9, allow_nan=False)
companies_strategy = st.lists(
    st.builds(
        ReserveCompany,
        id=st.text("abc", min_size=1, max_size=3),
        name=st.sampled_from(["Alpha", "Beta", "Gamma"]),
        stage=st.sampled_from(STAGES),
        score=st.none() | st.floats(-10, 10),
        min_check_usd=st.none() | st.floats(0, 1e6),
    ),
    max_size=8,
    unique_by=lambda company: company.id,
)
constraints_strategy = st.builds(
    ReserveConstraints,
    min_check_usd=st.floats(0, 1e6),
    max_per_company_usd=st.none() | amounts,
    max_per_stage_usd=st.dictionaries(st.sampled_from(STAGES), amounts),
)


@given(reserves=amounts, companies=companies_strategy, constraints=constraints_strategy)
def test_nothing_is_lost_and_every_cap_and_minimum_is_kept_to_the_cent(
    reserves: float, companies: list[ReserveCompany], constraints: ReserveConstraints
) -> None:
    result = ConstrainedReserveEngine(POLICIES, constraints).allocate(reserves, companies)
    allocated = {a.id: a.allocated_cents for a in result.allocations}
    assert sum(allocated.values()) == result.total_allocated_cents
    assert result.total_allocated_cents + result.remaining_cents == math.floor(reserves * 100 + 0.5)
    assert result.remaining_cents >= 0
    by_id = {company.id: company for company in companies}
    for name, cents in allocated.items():
        own_minimum = by_id[name].min_check_usd
        minimum = constraints.min_check_usd if own_minimum is None else own_minimum
        assert cents > 0
        assert cents >= minimum * 100 - 0.5
        if constraints.max_per_company_usd is not None:
            assert cents <= constraints.max_per_company_usd * 100 + 0.5
    for stage, cap in constraints.max_per_stage_usd.items():
        assert sum(a.allocated_cents for a in result.allocations if a.stage == stage) <= cap * 100 + 0.5


@given(reserves=amounts, companies=companies_strategy, constraints=constraints_strategy, data=st.data())
def test_the_order_of_the_companies_does_not_matter(
    reserves: float, companies: list[ReserveCompany], constraints: ReserveConstraints, data: st.DataObject
) -> None:
    engine = ConstrainedReserveEngine(POLICIES, constraints)
    shuffled = data.draw(st.permutations(companies))
    assert engine.allocate(reserves, shuffled) == engine.allocate(reserves, companies)


def first_of(engine: ConstrainedReserveEngine, *companies: ReserveCompany) -> str:
    """Who gets the only cent."""
    (allocation,) = engine.allocate(0.01, companies).allocations
    return allocation.id


def test_the_score_is_the_present_value_of_a_reserved_dollar_times_the_weight() -> None:
    # seed 2 * .5 / 1.12^5 = .567; series_a 3 * .5 / 1.12^5 * .7 = .596
    engine = ConstrainedReserveEngine(POLICIES)
    seed, series_a = ReserveCompany("s", "S", "seed"), ReserveCompany("a", "A", "series_a")
    assert first_of(engine, seed, series_a) == "a"
    for score, winner in ((0.59, "a"), (0.60, "x")):
        assert first_of(engine, ReserveCompany("x", "X", "seed", score=score), series_a) == winner


@pytest.mark.parametrize(
    ("constraints", "winner"),
    [
        (ReserveConstraints(graduation_probability={"seed": 0.6}), "s"),
        (ReserveConstraints(graduation_years={"seed": 3.0}), "s"),
        (ReserveConstraints(graduation_years={"series_a": 6.0}), "s"),
        (ReserveConstraints(discount_rate_annual=0.5), "a"),
    ],
    ids=["probability", "years", "slower", "rate"],
)
def test_probability_years_and_rate_move_the_score(constraints: ReserveConstraints, winner: str) -> None:
    engine = ConstrainedReserveEngine(POLICIES, constraints)
    assert first_of(engine, ReserveCompany("s", "S", "seed"), ReserveCompany("a", "A", "series_a")) == winner


def test_a_company_with_its_own_score_needs_no_policy() -> None:
    assert first_of(ConstrainedReserveEngine({}), ReserveCompany("x", "X", "anything", score=1.0)) == "x"


def test_a_minimum_check_of_a_company_replaces_the_general_one() -> None:
    engine = ConstrainedReserveEngine(POLICIES, ReserveConstraints(min_check_usd=50.0))
    small = ReserveCompany("small", "A", "seed", min_check_usd=10.0)
    usual = ReserveCompany("usual", "B", "seed")
    assert [a.id for a in engine.allocate(20.0, [usual, small]).allocations] == ["small"]


def test_what_a_skipped_company_leaves_goes_to_the_next() -> None:
    constraints = ReserveConstraints(max_per_stage_usd={"series_a": 5.0}, min_check_usd=10.0)
    engine = ConstrainedReserveEngine(POLICIES, constraints)
    result = engine.allocate(20.0, [ReserveCompany("a", "A", "series_a"), ReserveCompany("s", "S", "seed")])
    assert [(a.id, a.allocated_cents) for a in result.allocations] == [("s", 2000)]


def test_no_companies_leave_all_reserves() -> None:
    assert ConstrainedReserveEngine({}).allocate(12.345, []) == ReserveResult((), 0, 1235)


@pytest.mark.parametrize(
    ("rate", "years"), [(-1.0, 5.0), (-3.0, 0.5), (1e300, 5.0), (math.nan, 5.0), (0.1, math.inf), (-0.5, math.inf)]
)
def test_a_discount_that_is_no_finite_positive_number_is_an_error(rate: float, years: float) -> None:
    constraints = ReserveConstraints(discount_rate_annual=rate, graduation_years={"seed": years})
    with pytest.raises(BadInput, match="stage seed"):
        ConstrainedReserveEngine(POLICIES, constraints).allocate(1.0, [ReserveCompany("s", "S", "seed")])


def test_every_amount_that_is_negative_or_not_finite_is_named() -> None:
    constraints = ReserveConstraints(-1.0, math.inf, {"seed": math.nan})
    company = ReserveCompany("s", "S", "seed", min_check_usd=-5.0)
    with pytest.raises(BadInput) as refused:
        ConstrainedReserveEngine(POLICIES, constraints).allocate(math.nan, [company])
    assert [problem.field for problem in refused.value.problems] == [
        "available_reserves_usd",
        "constraints.min_check_usd",
        "constraints.max_per_company_usd",
        "constraints.max_per_stage_usd.seed",
        "companies[0].min_check_usd",
    ]


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_an_error(score: float) -> None:
    with pytest.raises(BadInput, match="score"):
        ConstrainedReserveEngine({}).allocate(1.0, [ReserveCompany("s", "S", "seed", score=score)])
    with pytest.raises(BadInput, match="score"):
        ConstrainedReserveEngine({"seed": StagePolicy(score)}).allocate(1.0, [ReserveCompany("s", "S", "seed")])
