"""Cumulative incidence with competing risks and right-censoring: the Aalen-Johansen estimator.

Of n_i subjects still under observation just before time t_i, d_ij meet cause j at t_i. With S the share that has met no
cause yet, cause j's incidence grows at t_i by S(t_i-) d_ij / n_i. A subject censored at t_i was at risk at t_i.
Source: Aalen & Johansen (1978); Andersen, Borgan, Gill & Keiding (1993), section IV.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.errors import BadInput

NORMAL_QUANTILE_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Band:
    """A pointwise 95% confidence band. low, high: (n_points,), in [0, 1]."""

    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Incidence:
    """Step functions that jump at `times`; before the first time nothing has happened.

    times: (n_times,), distinct and ascending, those at which a cause was met. at_risk: (n_times,), n_i.
    events: (n_causes, n_times), d_ij. survival: (n_times,), S(t_i). incidence: (n_causes, n_times), F_j(t_i).
    followed: (n_subjects,), ascending, how long each subject was observed.
    """

    times: FloatArray
    at_risk: IntArray
    events: IntArray
    survival: FloatArray
    incidence: FloatArray
    followed: FloatArray

    def at(self, time: float) -> FloatArray:
        """F_j(time). Shape (n_causes,)."""
        steps = self._steps_until(time)
        return self.incidence[:, steps - 1] if steps else np.zeros(len(self.incidence))

    def still_followed(self, time: float) -> int:
        """How many subjects were observed for at least `time`."""
        return self.followed.size - int(np.searchsorted(self.followed, time, side="left"))

    def exposure(self, time: float) -> float:
        """Total time under observation up to `time`, in units of time x subjects."""
        return math.fsum(np.minimum(self.followed, time))

    def count(self, time: float) -> int:
        """How many met a cause up to `time`."""
        return int(self.events[:, : self._steps_until(time)].sum())

    def covariance(self, time: float) -> FloatArray:
        """Covariance of the F_j(time), by Greenwood's argument for all causes at once. Shape (n_causes, n_causes).

        Each time's counts are multinomial given the risk set; an increment dS at t_i carries on to F_j(time) in
        proportion to what is still to come, (F_j(time) - F_j(t_i)) / S(t_i). Its diagonal is Gaynor et al. (1993),
        eq. (7); the general form is Andersen et al. (1993), eq. (4.4.19).
        """
        steps = self._steps_until(time)
        q = self.events[:, :steps] / self.at_risk[:steps]
        to_come = self.at(time)[:, None] - self.incidence[:, :steps]
        survival = self.survival[:steps]
        carried = np.divide(to_come, survival, out=np.zeros_like(to_come), where=survival > 0)
        before = np.concatenate([[1.0], self.survival])[:steps]
        weight = before**2 / self.at_risk[:steps]
        # Cause j's total reacts to a unit of cause k's share q_k by [j = k] - carried_j, as staying takes the opposite.
        mean = q - carried * q.sum(axis=0)
        own = np.diag((weight * q).sum(axis=1))
        cross = -np.einsum("i,ji,ki->jk", weight, q, carried) - np.einsum("i,ji,ki->jk", weight, carried, q)
        both = np.einsum("i,ji,ki->jk", weight * q.sum(axis=0), carried, carried)
        total: FloatArray = own + cross + both - np.einsum("i,ji,ki->jk", weight, mean, mean)
        return total

    def standard_errors(self) -> FloatArray:
        """Of F_j(t_i), by the diagonal of `covariance` at every time at once. Shape (n_causes, n_times)."""
        q = self.events / self.at_risk
        hazard = q.sum(axis=0)
        before = np.concatenate([[1.0], self.survival[:-1]])
        weight = before**2 / self.at_risk
        safe = np.where(self.survival > 0, self.survival, 1.0)
        # With r = F_j(t) - F_j(t_i): sum w [q(1-q) - 2 r q(1-h)/S + r^2 h(1-h)/S^2], expanded in powers of F_j(t).
        square = np.where(self.survival > 0, weight * hazard * (1 - hazard) / safe**2, 0.0)
        cross = np.where(self.survival > 0, weight * q * (1 - hazard) / safe, 0.0)
        f = self.incidence
        constant = np.cumsum(weight * q * (1 - q) + 2 * cross * f + square * f**2, axis=1)
        linear = np.cumsum(-2 * cross - 2 * square * f, axis=1)
        variance = constant + f * linear + f**2 * np.cumsum(square)
        errors: FloatArray = np.sqrt(np.maximum(variance, 0.0))
        return errors

    def bands(self) -> list[Band]:
        """One for each cause, on the scale log(-log F), which keeps it inside [0, 1].

        Source: Kalbfleisch & Prentice (2002), section 8.2, as for a survival function.
        """
        errors = self.standard_errors()
        return [complementary_log_log_band(f, error) for f, error in zip(self.incidence, errors, strict=True)]

    def _steps_until(self, time: float) -> int:
        return int(np.searchsorted(self.times, time, side="right"))


def complementary_log_log_band(share: FloatArray, error: FloatArray) -> Band:
    """share: (n_points,), in [0, 1]; error: its standard errors. A share of exactly 0 or 1 has no width here."""
    inside = (share > 0) & (share < 1)
    log = np.log(np.where(inside, share, 0.5))
    swing = np.where(
        inside, np.exp(np.minimum(NORMAL_QUANTILE_95 * error / np.abs(np.where(inside, share, 0.5) * log), 700.0)), 1.0
    )
    return Band(
        low=np.where(inside, np.exp(log * swing), share),
        high=np.where(inside, np.exp(log / swing), share),
    )


def aalen_johansen(followed: FloatArray, causes: IntArray, n_causes: int) -> Incidence:
    """followed: (n_subjects,), how long each was observed, >= 0. causes: (n_subjects,), what ended it: 1 to n_causes;
    0 for what was still going on (censored).

    Raises BadInput for no subject, a time that is negative or not finite, or a cause that there is not.
    """
    _check(followed, causes, n_causes)
    times = np.unique(followed[causes > 0])
    ordered = np.sort(followed)
    at_risk = followed.size - np.searchsorted(ordered, times, side="left")
    place = np.searchsorted(times, followed)
    events = np.zeros((n_causes, times.size), dtype=np.int64)
    np.add.at(events, (causes[causes > 0] - 1, place[causes > 0]), 1)
    survival = np.cumprod(1.0 - events.sum(axis=0) / at_risk)
    before = np.concatenate([[1.0], survival[:-1]])[: times.size]
    incidence = np.cumsum(before * events / at_risk, axis=1)
    return Incidence(times, at_risk.astype(np.int64), events, survival, incidence, ordered)


def _check(followed: FloatArray, causes: IntArray, n_causes: int) -> None:
    if followed.size == 0:
        raise BadInput.of("followed", [], "incidence needs at least one subject")
    bad = ~(np.isfinite(followed) & (followed >= 0))
    if bad.any():
        raise BadInput.of("followed", float(followed[bad][0]), "must be a finite time, 0 or more")
    unknown = (causes < 0) | (causes > n_causes)
    if unknown.any():
        raise BadInput.of("causes", int(causes[unknown][0]), f"must be 0 (censored) to {n_causes}")
