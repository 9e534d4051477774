"""The compiled normal distribution against an independent library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from core.simulation.three_component_v2 import normal


@given(st.floats(-37.0, 37.0))
def test_the_distribution_function_and_the_density_are_the_librarys(x: float) -> None:
    assert normal.cdf(x) == pytest.approx(special.ndtr(x), rel=1e-13)
    assert normal.phi(x) == pytest.approx(stats.norm.pdf(x), rel=1e-13)


@given(st.floats(1e-300, 1.0, exclude_max=True))
def test_the_quantile_is_the_librarys_in_the_middle_and_far_out(p: float) -> None:
    assert normal.quantile(p) == pytest.approx(special.ndtri(p), rel=1e-13, abs=1e-15)


def test_the_ends_are_infinite_and_arrays_are_taken_entry_by_entry() -> None:
    assert (normal.quantile(0.0), normal.quantile(1.0)) == (-math.inf, math.inf)
    p = np.array([1e-9, 0.3, 0.9])
    assert normal.quantiles(p).tolist() == [normal.quantile(value) for value in p.tolist()]


def test_the_constants_of_the_ninetieth_percentile_are_right() -> None:
    assert pytest.approx(special.ndtri(0.9), rel=1e-15) == normal.QUANTILE_90
    assert pytest.approx(stats.norm.pdf(special.ndtri(0.9)), rel=1e-15) == normal.DENSITY_90


@given(st.floats(-30.0, 30.0))
def test_a_score_loses_nothing_in_either_tail(x: float) -> None:
    assert normal.score(special.ndtr(x), special.ndtr(-x)) == pytest.approx(x, rel=1e-12, abs=1e-12)
