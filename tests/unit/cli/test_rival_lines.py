"""When the answer is no better than a plainer one, the terminal warns and says how many scenarios would tell."""

from __future__ import annotations

from typing import Any

import pytest

from core.risk.comparison_portfolios import ComparisonPortfolio
from deployments.cli.result_view import rival_lines


def _line(difference: float, error: float, *, feasible: bool, scenarios: int = 1_000) -> str:
    rival = ComparisonPortfolio.measured(
        "equal_weights",
        expected_moic=2.0,
        difference=difference,
        standard_error=error,
        scenarios=scenarios,
        feasible=feasible,
    )
    (line,) = rival_lines([rival.as_json()], scenarios)
    return line


@pytest.mark.parametrize("difference", [0.005, -0.005])
def test_within_one_standard_error_it_warns_and_names_the_scenarios_that_would_tell(difference: float) -> None:
    line = _line(difference, 0.01, feasible=True)

    assert line.startswith("WARNING: within the noise of equal weights. Against equal weights, which keep every limit:")
    # (1.96 x 0.01 / 0.005)^2 thousand.
    assert line.endswith("About 15,366 scenarios would show such a difference.")


def test_a_rival_that_keeps_every_limit_and_does_better_is_a_warning() -> None:
    line = _line(-0.05, 0.01, feasible=True)

    assert line.startswith("WARNING: worse than equal weights in scenarios that neither was chosen on.")
    assert "would show" not in line


@pytest.mark.parametrize(("difference", "feasible"), [(0.05, True), (0.05, False), (-0.05, False)])
def test_a_rival_that_is_worse_or_breaks_limits_is_none(difference: float, feasible: bool) -> None:
    line = _line(difference, 0.01, feasible=feasible)

    assert line.startswith(f"Against equal weights, which {'keep every limit' if feasible else 'break limits'}:")


def test_a_result_without_rivals_says_nothing() -> None:
    nothing: list[dict[str, Any]] = []

    assert rival_lines(nothing, 1_000) == []
