"""Cumulative incidence: against fractions by hand, an independent library, and its own algebra."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter, KaplanMeierFitter

from core.calibration.aalen_johansen import Incidence, aalen_johansen
from core.errors import BadInput

CAUSES = 3

subjects = st.lists(st.tuples(st.integers(0, 12), st.integers(0, CAUSES)), min_size=1, max_size=40)


def estimate(drawn: list[tuple[int, int]]) -> Incidence:
    times, causes = np.array(drawn).T
    return aalen_johansen(times.astype(np.float64), causes, CAUSES)


def by_fractions(drawn: list[tuple[int, int]], until: int) -> list[Fraction]:
    """The product-limit sum as the textbook writes it, without rounding."""
    survival, incidence = Fraction(1), [Fraction(0)] * CAUSES
    for time in sorted({time for time, cause in drawn if cause and time <= until}):
        at_risk = sum(other >= time for other, _ in drawn)
        met = [drawn.count((time, cause)) for cause in range(1, CAUSES + 1)]
        incidence = [share + survival * Fraction(n, at_risk) for share, n in zip(incidence, met, strict=True)]
        survival *= 1 - Fraction(sum(met), at_risk)
    return incidence


@given(subjects, st.integers(0, 13))
@settings(max_examples=150, deadline=None)
def test_incidence_is_the_exact_product_limit_sum_with_ties_and_censoring(
    drawn: list[tuple[int, int]], until: int
) -> None:
    assert estimate(drawn).at(until) == pytest.approx([float(share) for share in by_fractions(drawn, until)], abs=1e-12)


@given(subjects)
@settings(max_examples=100, deadline=None)
def test_incidences_and_survival_add_up_to_one_and_rise_from_zero(drawn: list[tuple[int, int]]) -> None:
    found = estimate(drawn)
    assert found.incidence.sum(axis=0) + found.survival == pytest.approx(np.ones(found.times.size), abs=1e-12)
    assert np.all(np.diff(found.incidence, axis=1, prepend=0.0) >= 0)
    assert np.array_equal(found.at(-1.0), np.zeros(CAUSES))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, CAUSES)), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_without_censoring_incidence_is_the_plain_share(drawn: list[tuple[int, int]]) -> None:
    drawn = [(time, cause or 1) for time, cause in drawn]
    for until in range(13):
        shares = [sum(t <= until and c == cause for t, c in drawn) / len(drawn) for cause in range(1, CAUSES + 1)]
        assert estimate(drawn).at(until) == pytest.approx(shares, abs=1e-12)


def untied(times: np.ndarray, causes: np.ndarray) -> np.ndarray:
    """Events of one time a little apart, all before whoever is censored then. This changes no incidence: of n at risk
    the first takes 1/n, the second (n-1)/n * 1/(n-1)."""
    apart = times.astype(np.float64).copy()
    for time in np.unique(times):
        met = np.flatnonzero((times == time) & (causes > 0))
        apart[met] -= 1e-3 * np.arange(1, met.size + 1)
    return apart


@pytest.mark.parametrize("seed", range(5))
def test_lifelines_finds_the_same_incidence_where_events_and_censorings_tie(seed: int) -> None:
    draw = np.random.default_rng(seed)
    times, causes = draw.integers(1, 40, 300), draw.integers(0, CAUSES + 1, 300)
    found = aalen_johansen(times.astype(np.float64), causes, CAUSES)
    whole = KaplanMeierFitter().fit(times, causes > 0)
    assert whole.predict(found.times).to_numpy() == pytest.approx(found.survival, abs=1e-12)
    apart = untied(times, causes)
    for cause in range(1, CAUSES + 1):
        theirs = AalenJohansenFitter(calculate_variance=False).fit(apart, causes, event_of_interest=cause)
        for time in range(1, 41):
            expected = theirs.cumulative_density_.loc[:time].iloc[-1, 0]
            assert found.at(time)[cause - 1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_lifelines_finds_the_same_variance_and_band(seed: int) -> None:
    draw = np.random.default_rng(seed)
    times, causes = draw.permutation(400).astype(np.float64) + 1, draw.integers(0, CAUSES + 1, 400)
    times[-1], causes[-1] = 401.0, 0  # so that nobody's variance divides by zero
    found = aalen_johansen(times, causes, CAUSES)
    errors, bands = found.standard_errors(), found.bands()
    for cause in range(1, CAUSES + 1):
        theirs = AalenJohansenFitter().fit(times, causes, event_of_interest=cause)
        met = found.incidence[cause - 1] > 0
        at = found.times[met]
        assert errors[cause - 1][met] ** 2 == pytest.approx(theirs.variance_.loc[at].to_numpy().ravel(), rel=1e-9)
        interval = np.sort(theirs.confidence_interval_.loc[at].to_numpy(), axis=1)
        assert bands[cause - 1].low[met] == pytest.approx(interval[:, 0], rel=1e-9)
        assert bands[cause - 1].high[met] == pytest.approx(interval[:, 1], rel=1e-9)


@given(subjects)
@settings(max_examples=60, deadline=None)
def test_the_covariance_has_the_standard_errors_on_its_diagonal_and_without_censoring_is_multinomial(
    drawn: list[tuple[int, int]],
) -> None:
    found = estimate(drawn)
    for place, time in enumerate(found.times):
        on_diagonal = np.sqrt(np.maximum(np.diag(found.covariance(time)), 0.0))
        assert on_diagonal == pytest.approx(found.standard_errors()[:, place], abs=1e-7)
    complete = estimate([(time, cause or 1) for time, cause in drawn])
    for time in complete.times:
        share = complete.at(time)
        multinomial = (np.diag(share) - np.outer(share, share)) / len(drawn)
        assert complete.covariance(time) == pytest.approx(multinomial, abs=1e-12)


def test_the_covariance_is_what_resampling_the_subjects_finds() -> None:
    draw = np.random.default_rng(5)
    n = 500
    times = np.minimum(draw.exponential(3.0, (2000, n)), draw.uniform(0.0, 6.0, (2000, n)))
    censored = draw.uniform(size=(2000, n)) < 0.3
    causes = np.where(censored, 0, draw.integers(1, CAUSES + 1, (2000, n)))
    runs = [aalen_johansen(t, c, CAUSES) for t, c in zip(times, causes, strict=True)]
    spread = np.cov(np.array([run.at(2.5) for run in runs]).T)
    expected = np.mean([run.covariance(2.5) for run in runs], axis=0)
    # A sample variance of 2,000 normal values is known to sqrt(2 / 2000) = 3.2%.
    assert np.diag(spread) == pytest.approx(np.diag(expected), rel=0.13)
    assert spread == pytest.approx(expected, abs=0.13 * expected.max())


def test_a_cause_without_events_has_no_incidence() -> None:
    found = estimate([(3, 0), (5, 0)])
    assert found.times.size == 0
    assert np.array_equal(found.at(4.0), np.zeros(CAUSES))
    assert np.array_equal(found.covariance(4.0), np.zeros((CAUSES, CAUSES)))
    assert [band.low.size for band in found.bands()] == [0] * CAUSES
    assert (found.still_followed(3.0), found.still_followed(3.1), found.exposure(4.0)) == (2, 1, 7.0)


@pytest.mark.parametrize(
    ("times", "causes", "message"),
    [
        ([], [], "at least one subject"),
        ([1.0, -1.0], [0, 1], "followed = -1.0: must be a finite time"),
        ([np.nan], [1], "followed = nan"),
        ([1.0], [4], "causes = 4: must be 0 .censored. to 3"),
        ([1.0], [-1], "causes = -1"),
    ],
)
def test_what_cannot_be_estimated_is_refused(times: list[float], causes: list[int], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        aalen_johansen(np.array(times, dtype=np.float64), np.array(causes, dtype=np.int64), CAUSES)
