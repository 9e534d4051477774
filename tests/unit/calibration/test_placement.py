"""A round of unknown series is placed where the order of rounds leaves one place, and nowhere else."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations_with_replacement

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calibration.placement import AMBIGUOUS, BELOW_STAGE, SAME_DAY, place_rounds

LAST = 3


def place(*codes: int | None, days: list[int] | None = None) -> list[tuple[int | None, bool, str | None]]:
    """(stage code, inferred, reason) of one company's rounds, given in order; each on a day of its own by default."""
    start = date(2010, 1, 1)
    dates = [start + timedelta(days=day) for day in (days or range(len(codes)))]
    rounds = pl.DataFrame(
        {"company_id": ["c"] * len(codes), "date": dates, "stage_code": list(codes)},
        schema_overrides={"stage_code": pl.Int64},
    )
    return place_rounds(rounds).select("stage_code", "stage_inferred", "reason").rows()


@pytest.mark.parametrize(
    ("given_codes", "placed"),
    [
        ((0, None, 2), [0, 1, 2]),
        ((0, None, None, 3), [0, 1, 2, 3]),
        ((1, None, 1), [1, 1, 1]),
        ((None, 0), [0, 0]),
        ((3, None, None), [3, 3, 3]),
        ((0, None, None, 2), [0, None, None, 2]),
        ((0, None, 3), [0, None, 3]),
        ((0, None, 1), [0, None, 1]),
        ((None, 1), [None, 1]),
        ((2, None), [2, None]),
        ((None, None), [None, None]),
    ],
)
def test_the_cases_of_the_documentation(given_codes: tuple[int | None, ...], placed: list[int | None]) -> None:
    rows = place(*given_codes)
    assert [code for code, _, _ in rows] == placed
    assert [reason for _, _, reason in rows] == [AMBIGUOUS if code is None else None for code in placed]
    assert [inferred for _, inferred, _ in rows] == [
        before is None and after is not None for before, after in zip(given_codes, placed, strict=True)
    ]


def brute_force(codes: list[int | None]) -> list[int | None]:
    """Gap by gap: the only non-decreasing filling that skips no stage between two known rounds, if there is one."""
    known = [place for place, code in enumerate(codes) if code is not None]
    filled = list(codes)
    for left, right in zip([-1, *known], [*known, len(codes)], strict=True):
        low = codes[left] if left >= 0 else 0
        high = codes[right] if right < len(codes) else LAST
        bounded = left >= 0 and right < len(codes)
        missing = set(range(low + 1, high)) if bounded else set()
        fillings = [
            filling
            for filling in combinations_with_replacement(range(low, high + 1), right - left - 1)
            if missing <= set(filling)
        ]
        if len(fillings) == 1:
            filled[left + 1 : right] = fillings[0]
    return filled


@given(st.lists(st.one_of(st.none(), st.integers(0, LAST)), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_placement_is_the_only_sequence_that_order_allows(codes: list[int | None]) -> None:
    stages = iter(sorted(code for code in codes if code is not None))
    ordered = [None if code is None else next(stages) for code in codes]
    assert [code for code, _, _ in place(*ordered)] == brute_force(ordered)


def test_a_round_below_a_stage_already_reached_is_refused_and_places_nothing() -> None:
    assert place(1, 0, None, 3) == [
        (1, False, None),
        (0, False, BELOW_STAGE),
        (2, True, None),
        (3, False, None),
    ]


def test_an_unknown_round_on_the_day_of_another_has_no_place_in_the_order() -> None:
    rows = place(0, None, 1, None, None, 3, days=[0, 0, 1, 2, 2, 3])
    assert [reason for code, _, reason in rows if code is None] == [SAME_DAY] * 3


def test_known_rounds_of_one_day_are_taken_in_the_order_of_their_stages() -> None:
    assert [reason for _, _, reason in place(2, 0, 1, days=[0, 0, 0])] == [None, None, None]
