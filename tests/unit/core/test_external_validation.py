"""Simulated deals and funds beside published ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from core.charts.external_validation import external_validation_chart
from core.errors import BadInput
from core.external_validation.comparison import Comparison, compare, net_of_fees
from core.external_validation.published import PUBLISHED_DEALS, PUBLISHED_FUNDS
from db.reference_calibrations import reference_calibration

REPORT = Path(__file__).parents[3] / "benchmarks" / "results" / "external-validation.md"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare("three_component_v2", reference_calibration())


def test_simulated_deals_are_the_published_ones_within_four_standard_errors(comparison: Comparison) -> None:
    assert [deal.range for deal in comparison.deals] == list(PUBLISHED_DEALS)
    assert math.fsum(deal.simulated for deal in comparison.deals) == pytest.approx(1.0)
    for deal in comparison.deals:
        # The published shares are rounded to a tenth of a percent.
        assert abs(deal.simulated - deal.range.share) < 4 * deal.error + 0.0005
    assert comparison.divergence < 0.0005


def test_the_first_model_cannot_show_the_published_deals() -> None:
    first = compare("three_component_v1", reference_calibration("us_venture_2004_2013"))
    assert first.divergence > 0.01


def test_funds_spread_as_published_and_lie_lower_after_fees(comparison: Comparison) -> None:
    """The distance from the median to the best tenth; the level is what the sources conflict in."""
    published = [fund.p90 / fund.median for fund in PUBLISHED_FUNDS if fund.p90 is not None]
    assert min(published) * 0.9 < comparison.net.p90 / comparison.net.median < max(published) * 1.1
    assert comparison.net.median < min(fund.median for fund in PUBLISHED_FUNDS)
    assert comparison.gross.lower < comparison.gross.median < comparison.gross.upper < comparison.gross.p90
    assert all(0.0 < error < 0.05 for error in comparison.gross.errors)


def test_fees_are_a_fifth_of_paid_in_capital_and_a_fifth_of_the_profit() -> None:
    assert net_of_fees(np.array([0.0, 1.0, 1.25, 2.5])) == pytest.approx([0.0, 0.8, 1.0, 1.8])


def test_every_published_fund_figure_has_a_source(comparison: Comparison) -> None:
    document = comparison.as_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert all(fund["source"] for fund in document["publishedFunds"])


def test_the_report_shows_the_figures_that_the_command_computes(comparison: Comparison) -> None:
    report = REPORT.read_text(encoding="utf-8")
    for deal in comparison.deals:
        assert f"| {deal.range.label} | {deal.range.share:.1%} | {deal.simulated:.2%} | {deal.error:.2%} |" in report
    for fund in (comparison.gross, comparison.net):
        values = (fund.lower, fund.median, fund.upper, fund.p90)
        assert " | ".join(f"{value:.2f}x" for value in values) + f" | {fund.quartile_ratio:.2f}" in report
    for published in PUBLISHED_FUNDS:
        assert f"| published, {published.label} |" in report


def test_the_chart_is_the_same_to_the_byte_and_shows_both(comparison: Comparison) -> None:
    svg = external_validation_chart(comparison, "svg")
    assert svg == external_validation_chart(comparison, "svg")
    for told in (b"published", b"simulated", b"64.8%", b"vintage 2017, Carta"):
        assert told in svg
    assert external_validation_chart(comparison, "png").startswith(b"\x89PNG")


def test_a_benchmark_of_another_model_is_refused() -> None:
    with pytest.raises(BadInput, match="fitted for three_component_v1"):
        compare("three_component_v2", reference_calibration("us_venture_2004_2013"))
