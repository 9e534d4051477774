"""The verdict: each limit as asked, by the worse of the weights and the whole deals that they buy."""

from __future__ import annotations

import math
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.portfolio.problem import ConstraintType, is_minimum
from core.result.model import Constraint, Figures, Holding, LimitedEstimate, LimitStatus, OutOfSample, Verdict
from core.result.verdict import SEVERITY, verdict_on_matrix
from tests.unit.result.documents import ALLOCATION, estimated, holding, judge, limit, out_of_sample

SAMPLED = {"p_loss_max": "loss_probability", "cvar_max": "cvar", "expected_winners_min": "expected_winners"}
STATUSES: tuple[LimitStatus, ...] = get_args(LimitStatus)

fractions = st.floats(0, 1).map(lambda value: round(value, 6))
intervals = st.tuples(fractions, fractions, fractions).map(lambda three: estimated(*sorted(three)))


def status_of(
    constraint: Constraint, weights: LimitedEstimate, whole_deals: LimitedEstimate | None = None
) -> LimitStatus:
    name = SAMPLED[constraint.constraint_id]
    verdict = judge(
        [constraint],
        weights=out_of_sample(**{name: weights}),
        whole_deals=out_of_sample(**{name: whole_deals or weights}),
    )
    return verdict.limits[0].status


def worst(*statuses: LimitStatus) -> LimitStatus:
    return max(statuses, key=SEVERITY.__getitem__)


@pytest.mark.parametrize(
    ("low", "value", "high", "at_most", "at_least"),
    [
        (0.1, 0.2, 0.3, "holds", "broken"),
        (0.1, 0.3, 0.35, "holds", "within_error"),
        (0.34, 0.35, 0.36, "within_error", "within_error"),
        (0.35, 0.4, 0.5, "within_error", "holds"),
        (0.36, 0.4, 0.5, "broken", "holds"),
        (0.35, 0.35, 0.35, "holds", "holds"),
    ],
)
def test_a_sampled_limit_holds_or_breaks_where_its_whole_interval_does(
    low: float, value: float, high: float, at_most: LimitStatus, at_least: LimitStatus
) -> None:
    assert status_of(limit("cvar_max", 0.35), estimated(low, value, high)) == at_most
    assert status_of(limit("expected_winners_min", 0.35), estimated(low, value, high)) == at_least


@pytest.mark.parametrize("constraint_id", SAMPLED)
@given(asked=fractions, weights=intervals, deals=intervals)
def test_a_limit_is_judged_by_the_worse_of_weights_and_whole_deals(
    constraint_id: str, asked: float, weights: LimitedEstimate, deals: LimitedEstimate
) -> None:
    constraint = limit(constraint_id, asked)
    both = status_of(constraint, weights, deals)
    assert both == worst(status_of(constraint, weights), status_of(constraint, deals))
    assert both == status_of(constraint, deals, weights)


@pytest.mark.parametrize("constraint_id", SAMPLED)
@given(asked=fractions, looser_by=fractions, weights=intervals, deals=intervals)
def test_a_looser_limit_is_never_judged_worse(
    constraint_id: str, asked: float, looser_by: float, weights: LimitedEstimate, deals: LimitedEstimate
) -> None:
    sign = -1.0 if is_minimum(limit(constraint_id, asked).type) else 1.0
    tight, loose = limit(constraint_id, asked), limit(constraint_id, asked + sign * looser_by)
    assert SEVERITY[status_of(loose, weights, deals)] <= SEVERITY[status_of(tight, weights, deals)]


@given(asked=fractions, enforced=fractions, figure=intervals)
def test_a_relaxed_limit_is_judged_as_it_was_asked_for_and_says_that_it_was_relaxed(
    asked: float, enforced: float, figure: LimitedEstimate
) -> None:
    relaxed = judge([limit("cvar_max", asked, enforced)], weights=out_of_sample(cvar=figure)).limits[0]
    plain = judge([limit("cvar_max", asked)], weights=out_of_sample(cvar=figure)).limits[0]
    assert (relaxed.status, relaxed.figure, relaxed.asked) == (plain.status, plain.figure, plain.asked)
    assert (relaxed.enforced, "was relaxed to" in relaxed.sentence) == (enforced, True)
    assert "relaxed" not in plain.sentence


@given(
    order=st.permutations(range(4)),
    loss=intervals,
    cvar=intervals,
    winners=intervals,
    asked=st.tuples(fractions, fractions, fractions),
)
def test_the_verdict_is_the_worst_limits_in_whatever_order_they_are_told(
    order: list[int],
    loss: LimitedEstimate,
    cvar: LimitedEstimate,
    winners: LimitedEstimate,
    asked: tuple[float, float, float],
) -> None:
    constraints = [limit(name, value) for name, value in zip(SAMPLED, asked, strict=True)]
    constraints.append(limit("sector_max_weight:AI", 0.9))
    figures = out_of_sample(loss_probability=loss, cvar=cvar, expected_winners=winners)
    verdict = judge([constraints[place] for place in order], weights=figures)
    assert [one.constraint_id for one in verdict.limits] == [constraints[place].constraint_id for place in order]
    assert verdict.status == worst(*(one.status for one in verdict.limits))
    assert verdict.status == judge(constraints, weights=figures).status


# --- bounds of weights --------------------------------------------------------------------------------------------


def recomputed(constraint_id: str, allocation: tuple[Holding, ...]) -> tuple[float, float]:
    """What a bound bounds, of the weights and of the deals bought, bucket by bucket from dollars."""
    fund = sum(one.dollar_amount for one in allocation)
    kind, _, name = constraint_id.partition(":")
    weights = deals = largest_weight = largest_deals = 0.0
    for one in allocation:
        bought = one.deal_count * one.all_in_cost_per_deal / fund
        largest_weight, largest_deals = max(largest_weight, one.weight), max(largest_deals, bought)
        if name in (one.sector, one.stage):
            weights += one.weight
            deals += bought
    return (largest_weight, largest_deals) if kind == "bucket_max_weight" else (weights, deals)


@given(
    shares=st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any),
    deals=st.lists(st.integers(0, 40), min_size=3, max_size=3).filter(any),
    asked=fractions,
    constraint_id=st.sampled_from(
        [
            "bucket_max_weight",
            *(f"sector_{side}_weight:{name}" for side in ("min", "max") for name in ("AI", "Bio")),
            *(f"stage_{side}_weight:{name}" for side in ("min", "max") for name in ("Seed", "A")),
        ]
    ),
)
def test_bounds_are_recomputed_for_the_weights_and_for_the_deals_with_their_cash(
    shares: list[int], deals: list[int], asked: float, constraint_id: str
) -> None:
    allocation = tuple(
        holding(one.bucket_id, share / sum(shares), count)
        for one, share, count in zip(ALLOCATION, shares, deals, strict=True)
    )
    (found,) = judge([limit(constraint_id, asked)], allocation=allocation).limits
    of_weights, of_deals = recomputed(constraint_id, allocation)
    minimum = "_min_" in constraint_id
    worse = min(of_weights, of_deals) if minimum else max(of_weights, of_deals)
    assert found.figure == pytest.approx(worse, abs=1e-9)
    assert (found.low, found.high, found.out_of_sample) == (None, None, False)
    assert found.status != "within_error"
    if abs(worse - asked) > 1e-6:
        assert found.status == ("holds" if (worse > asked) == minimum else "broken")
        assert found.basis == ("weights" if worse == pytest.approx(of_weights, abs=1e-12) else "whole_deals") or (
            of_weights == pytest.approx(of_deals, abs=1e-9)
        )


def test_cash_that_buys_no_deal_is_missing_from_a_minimum() -> None:
    allocation = (holding("Seed_AI", 0.5, 46), holding("A_Bio", 0.5, 50))
    (found,) = judge([limit("sector_min_weight:AI", 0.5)], allocation=allocation).limits
    assert (found.status, found.basis, found.figure) == ("broken", "whole_deals", pytest.approx(0.46))
    assert found.sentence == "Minimum in AI: 46.0% for the whole deals bought breaks the limit of 50%."


def test_equality_holds_and_so_does_what_lies_within_the_solvers_tolerance() -> None:
    for weight, status in ((0.5, "holds"), (0.5 + 9e-8, "holds"), (0.5 + 2e-7, "broken")):
        allocation = (holding("Seed_AI", weight, 1), holding("A_Bio", 1 - weight, 1))
        (found,) = judge([limit("sector_max_weight:AI", 0.5)], allocation=allocation).limits
        assert (weight, found.status) == (weight, status)


def test_a_fund_that_buys_no_deal_keeps_nothing_whatever_its_limits() -> None:
    allocation = tuple(holding(one.bucket_id, one.weight, 0, fund=100) for one in ALLOCATION)
    for constraints in ([], [limit("p_loss_max", 1.0)], [limit("cvar_max", 0.9), limit("sector_min_weight:AI", 0.5)]):
        verdict = judge(constraints, allocation=allocation)
        assert verdict.status == "broken"
        assert verdict.sentence == (
            "The fund buys no deal at all: it has $100, and the cheapest deal costs $1,000,000, reserves included."
        )
    assert verdict.limits[1].status == "broken"


def test_without_any_limit_none_is_said_to_hold() -> None:
    verdict = judge([])
    assert (verdict.status, verdict.sentence, verdict.limits) == ("holds", "No limit was asked for.", ())


# --- on a matrix alone --------------------------------------------------------------------------------------------


@given(value=fractions, asked=fractions, bought=fractions)
def test_on_a_matrix_alone_no_sampled_limit_is_said_to_hold(value: float, asked: float, bought: float) -> None:
    def figures(cvar: float) -> Figures:
        return Figures(expected_moic=2.0, loss_probability=0.0, cvar=cvar, expected_winners=1.0)

    verdict = verdict_on_matrix(
        constraints=[limit("cvar_max", asked)],
        cvar_confidence=0.95,
        allocation=ALLOCATION,
        weights=figures(value),
        whole_deals=figures(bought),
    )
    (found,) = verdict.limits
    assert found.status == ("broken" if max(value, bought) > asked + 1e-7 else "within_error")
    assert (found.out_of_sample, found.figure) == (False, max(value, bought))
    assert "not tested on scenarios other than" in verdict.notes[-1]
    assert ("untested on others" in found.sentence) is (found.status != "broken")


# --- sentences ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "status", "sentence"),
    [
        (
            out_of_sample(cvar=estimated(0.2, 0.25, 0.3)),
            "holds",
            (
                "Every limit holds as asked, for the weights and for the whole deals bought, in 5,000 scenarios that "
                "the portfolio was not chosen on."
            ),
        ),
        (
            out_of_sample(cvar=estimated(0.33, 0.34, 0.36)),
            "within_error",
            (
                "No limit is shown to be broken, but 1 of 2 limits cannot be called in 5,000 scenarios that the "
                "portfolio was not chosen on: CVaR 34.0% (at most 35%)."
            ),
        ),
        (
            out_of_sample(cvar=estimated(0.4, 0.41, 0.45)),
            "broken",
            (
                "The weights break 1 of 2 limits as asked, in 5,000 scenarios that the portfolio was not chosen on: "
                "CVaR 41.0% (at most 35%)."
            ),
        ),
    ],
    ids=STATUSES,
)
def test_one_sentence_says_it_all(figures: OutOfSample, status: LimitStatus, sentence: str) -> None:
    verdict = judge([limit("p_loss_max", 0.2), limit("cvar_max", 0.35)], weights=figures)
    assert (verdict.status, verdict.sentence) == (status, sentence)


def test_where_weights_and_deals_break_different_limits_the_sentence_says_which() -> None:
    verdict = judge(
        [limit("p_loss_max", 0.2), limit("cvar_max", 0.35)],
        weights=out_of_sample(loss_probability=estimated(0.3, 0.3, 0.3)),
        whole_deals=out_of_sample(cvar=estimated(0.4, 0.4, 0.4)),
    )
    assert verdict.sentence.startswith("The portfolio breaks 2 of 2 limits as asked")
    assert "Loss probability 30.0% for the weights (at most 20%)" in verdict.sentence
    assert "CVaR 40.0% for the whole deals bought (at most 35%)" in verdict.sentence


KINDS: tuple[ConstraintType, ...] = get_args(ConstraintType)


@given(
    asked=fractions | st.sampled_from([0.35, 0.1433333333333333, 1 / 3, 0.2, 1.4]),
    apart=st.floats(2e-7, 0.3) | st.sampled_from([2e-7, 1e-6, 4.9e-5, 5e-4]),
    minimum=st.booleans(),
)
def test_a_figure_that_breaks_its_limit_is_never_written_as_if_it_kept_it(
    asked: float, apart: float, minimum: bool
) -> None:
    value = asked - apart if minimum else asked + apart
    name, figure = ("expected_winners_min", "expected_winners") if minimum else ("cvar_max", "cvar")
    verdict = judge([limit(name, asked)], weights=out_of_sample(**{figure: estimated(value, value, value)}))
    assert verdict.status == "broken"
    assert _shown_beyond(verdict, minimum=minimum)


def _shown_beyond(verdict: Verdict, *, minimum: bool) -> bool:
    """Whether both sentences write a figure on the wrong side of its limit."""
    in_limit = re.search(r": (-?[\d.]+)%? .*? limit of (\d+(?:\.\d+)?)", verdict.limits[0].sentence)
    in_all = re.search(r" (-?[\d.]+)%? \(at (?:most|least) ([\d.]+)%?\)", verdict.sentence)
    assert in_limit is not None
    assert in_all is not None
    sides = [math.copysign(1.0, float(found[1]) - float(found[2])) for found in (in_limit, in_all)]
    apart = all(float(found[1]) != float(found[2]) for found in (in_limit, in_all))
    return apart and sides == [-1.0 if minimum else 1.0] * 2


@pytest.mark.parametrize(
    ("asked", "shown"), [(0.35, "35%"), (0.1433333333333333, "14.33%"), (1 / 3, "33.33%"), (0.0, "0%"), (1.0, "100%")]
)
def test_limits_are_written_as_people_give_them(asked: float, shown: str) -> None:
    verdict = judge([limit("cvar_max", asked)], weights=out_of_sample(cvar=estimated(0.5, 0.5, 0.5)))
    assert f"limit of {shown}" in verdict.limits[0].sentence
    assert re.search(r"\d\.\d{5}", verdict.sentence) is None
