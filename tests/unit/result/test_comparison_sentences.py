"""Where a simpler portfolio does as well, the reader is warned and told how many scenarios would show a difference."""

from __future__ import annotations

import pytest

from core.result.build import comparison_of
from core.result.sentences import comparison_sentences
from core.risk.comparison_portfolios import ComparisonPortfolio


def sentence(difference: float, error: float, *, feasible: bool, scenarios: int = 1_000) -> str:
    other = ComparisonPortfolio.measured(
        "equal_weights",
        expected_moic=2.0,
        difference=difference,
        standard_error=error,
        scenarios=scenarios,
        feasible=feasible,
    )
    (said,) = comparison_sentences([comparison_of(other)], scenarios)
    return said


@pytest.mark.parametrize("difference", [0.005, -0.005])
def test_within_one_standard_error_it_warns_and_names_the_scenarios_that_would_tell(difference: float) -> None:
    said = sentence(difference, 0.01, feasible=True)

    assert said.startswith("WARNING: within the noise of equal weights. Against equal weights, which keep every limit")
    # (1.96 x 0.01 / 0.005)^2 thousand.
    assert said.endswith("About 15,366 scenarios would show such a difference.")


def test_a_simpler_portfolio_that_keeps_every_limit_and_does_better_is_a_warning() -> None:
    said = sentence(-0.05, 0.01, feasible=True)

    assert said.startswith("WARNING: worse than equal weights out of sample.")
    assert "would show" not in said


@pytest.mark.parametrize(("difference", "feasible"), [(0.05, True), (0.05, False), (-0.05, False)])
def test_one_that_is_worse_or_breaks_limits_is_no_warning(difference: float, feasible: bool) -> None:
    said = sentence(difference, 0.01, feasible=feasible)

    assert said.startswith(f"Against equal weights, which {'keep every limit' if feasible else 'break limits'}")


def test_a_result_without_comparisons_says_nothing() -> None:
    assert comparison_sentences([], 1_000) == ()
