"""Treemap of an allocation and returns by regime: areas in proportion, nothing left out, words for every figure."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.result import model
from core.result.charts.portfolio import Holding, holdings_of, multiples_chart
from core.result.charts.regimes import regime_returns_of, regimes_chart
from core.result.charts.treemap import Field, squarified, treemap_chart
from core.stages import Stage

WHOLE = Field(0.0, 0.0, 8.0, 4.6)


def _holding(stage: str, sector: str, weight: float) -> model.Holding:
    return model.Holding(
        bucket_id=f"{stage}_{sector}",
        stage=stage,
        sector=sector,
        weight=weight,
        dollar_amount=1e8 * weight,
        deal_count=int(1e8 * weight / 1.5e6),
        avg_check_size=1e6,
        reserve_ratio=0.5,
        all_in_cost_per_deal=1.5e6,
    )


ALLOCATION = (
    _holding("A", "AI", 0.25),
    _holding("Seed", "AI", 0.4496),
    _holding("Seed", "Energy", 0.3),
    _holding("Seed", "Media", 0.0004),
    _holding("C", "AI", 0.0),
)


def _figures(multiple: float, loss: float, error: float | None) -> model.ScenarioFigures:
    return model.ScenarioFigures(
        expected_moic=multiple,
        loss_probability=loss,
        cvar=0.5,
        expected_winners=1.0,
        scenarios=100,
        standard_errors=model.StandardErrors(expected_moic=error, loss_probability=error),
    )


BY_REGIME = (
    model.RegimeFigures(regime="base", probability=0.5, figures=_figures(2.125, 0.125, 0.01)),
    model.RegimeFigures(regime="recession", probability=0.5, figures=_figures(1.25, 0.5, None)),
    model.RegimeFigures(regime="war", probability=0.0, figures=None),
)


def _texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def _words(svg: bytes) -> str:
    return "".join(ET.fromstring(svg).itertext())


@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=40))
def test_fields_fill_the_whole_in_proportion_and_none_covers_another(weights: list[float]) -> None:
    ordered = sorted(weights, reverse=True)
    fields = squarified(ordered, WHOLE)

    scale = WHOLE.width * WHOLE.height / math.fsum(ordered)
    assert [field.width * field.height for field in fields] == pytest.approx([w * scale for w in ordered], rel=1e-6)
    for position, field in enumerate(fields):
        assert field.x >= -1e-9
        assert field.y >= -1e-9
        assert field.x + field.width <= WHOLE.width + 1e-9
        assert field.y + field.height <= WHOLE.height + 1e-9
        assert all(_overlap(field, other) < 1e-6 for other in fields[:position])


def _overlap(one: Field, other: Field) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, width) * max(0.0, height)


def test_equal_weights_make_squares_where_squares_fit() -> None:
    assert squarified([1.0] * 4, Field(0.0, 0.0, 2.0, 2.0)) == [
        Field(0.0, 0.0, 1.0, 1.0),
        Field(0.0, 1.0, 1.0, 1.0),
        Field(1.0, 0.0, 1.0, 1.0),
        Field(1.0, 1.0, 1.0, 1.0),
    ]


def test_the_example_of_the_paper() -> None:
    """Bruls et al. (2000), figure 5: areas 6 6 4 3 2 2 1 in 6 x 4; rows of 2, 2, 1 (3), 1, 1 fields."""
    fields = squarified([6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0], Field(0.0, 0.0, 6.0, 4.0))

    assert [(field.width, field.height) for field in fields[:4]] == [
        pytest.approx((3.0, 2.0)),
        pytest.approx((3.0, 2.0)),
        pytest.approx((12 / 7, 7 / 3)),
        pytest.approx((9 / 7, 7 / 3)),
    ]


def test_a_treemap_says_every_stage_and_every_sector_that_holds_capital() -> None:
    svg = treemap_chart(holdings_of(ALLOCATION))

    assert "Seed 75.0%: AI 45.0%, Energy 30.0%, 1 smaller ones 0.04%; A 25.0%: AI 25.0%." in _words(svg)
    texts = _texts(svg)
    assert {"Seed 75.0%", "A 25.0%"} <= set(texts)
    assert not any(text.startswith("C ") for text in texts)
    assert svg == treemap_chart(holdings_of(ALLOCATION))


def test_one_bucket_fills_the_treemap() -> None:
    assert "A 100.0%: AI 100.0%" in _words(treemap_chart([Holding("A_AI", Stage.A, 1.0, "AI")]))


def test_a_regimes_chart_has_every_figure_and_says_where_there_is_none() -> None:
    svg = regimes_chart(regime_returns_of(BY_REGIME), loss_limit=0.2)

    texts = _texts(svg)
    assert {"2.12x", "1.25x", "12.5%", "50.0%", "limit over all: 20.0%"} <= set(texts)
    assert [text.strip() for text in texts].count("no scenario drawn") == 2
    words = _words(svg)
    assert "base (probability 50.0%): mean multiple 2.12, loses money in 12.5%" in words
    assert "war (probability 0.0%): no scenario drawn" in words
    assert svg == regimes_chart(regime_returns_of(BY_REGIME), loss_limit=0.2)


def test_a_regimes_chart_without_losses_and_without_limit() -> None:
    base = model.RegimeFigures(regime="base", probability=1.0, figures=_figures(3.0, 0.0, 0.0))
    svg = regimes_chart(regime_returns_of([base]))

    assert {"3.00x", "0.0%"} <= set(_texts(svg))


@pytest.mark.parametrize(("winner", "told"), [(2.0, "a winner&#x27;s 2x or more: 50.0%"), (10.0, "10x or more: 0.0%")])
def test_the_multiples_mark_what_makes_a_winner_though_it_be_off_the_axis(winner: float, told: str) -> None:
    drawn = multiples_chart(np.array([0.5, 1.5, 2.0, 3.0]), winner).decode()
    plain = drawn.replace("&apos;", "&#x27;").replace("'", "&#x27;")
    assert told in plain
    assert "winner" not in multiples_chart(np.array([0.5, 1.5])).decode()
