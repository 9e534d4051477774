"""Fit the exit outcomes of a reference calibration to a published distribution of deal outcomes. Deterministic.

    python -m benchmarks.fit_exit_outcomes                          # for three_component_v2
    python -m benchmarks.fit_exit_outcomes three_component_v1

A deal is one check: no reserves. Its chance to return at least x follows in closed form from the transition rates of
the snapshot and the distribution of the model:

    three_component_v1  sum over stages of mix * P(exit) * mean over the shocks f of min(1, (f xmin / x)^alpha)
    three_component_v2  sum over stages and graduations k of mix * P(exit after k) * P(Q > x / retained^k), where Q is
                        log-normal up to its 90th percentile and Pareto beyond, and retained the ownership after a round

Fitted by a grid that is refined about its best point: the Seed median, the ratio of each stage's median to the one
before, and the spread ln(p90 / median). The criterion is the Kullback-Leibler divergence of the fitted from the
published shares (for counts of deals, maximum likelihood). The ratio of each stage's spread to the one before is set:
1 for the first model; for the second 0.96, a judgement that later stages spread a little less. Ratios from 0.9 to 0.98
fit to 0.0001 nat with Seed medians from 2.5 to 3.3, so the published figures cannot tell them apart.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import numpy as np

from core.arrays import FloatArray
from core.calibration.snapshot import CalibrationSnapshot
from core.simulation.three_component_v1 import IDIOSYNCRATIC_WEIGHT, REGIME_IMPACT, SHOCK_SWING, SYSTEMATIC_WEIGHT
from core.simulation.three_component_v1_out_of_sample import exit_probability
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.path import path_chances
from core.stages import Stage
from db.reference_calibrations import reference_calibrations

# Correlation Ventures, about 21,640 US venture financings, exits of 2004-2013: share of deals by gross multiple.
EDGES = np.array([1.0, 5.0, 10.0, 20.0, 50.0])
PUBLISHED = np.array([0.648, 0.253, 0.059, 0.025, 0.011, 0.004])

# Rounds of known series of US companies, January 2004 to October 2013, in the Crunchbase export of October 2013.
ROUNDS = {Stage.SEED: 6566, Stage.A: 6364, Stage.B: 3373, Stage.C: 3299}
MIX = np.array([ROUNDS[stage] for stage in Stage]) / sum(ROUNDS.values())

# Regime: probability, least and greatest shock. The default request of the product.
REGIMES = ((0.50, -0.3, 0.3), (0.25, 0.3, 1.0), (0.25, -1.0, -0.3))
MAX_ROUNDS = 10
OUTCOME_CAP = 250.0

# A Pareto exponent below 1.25 makes sample means meaningless; medians that fall faster than this are not credible.
LIMITS = {
    "three_component_v1": [(1.0, 6.0), (0.6, 1.0), (np.log(5) / 2.5, np.log(5) / 1.25), (1.0, 1.0)],
    "three_component_v2": [(1.0, 6.0), (0.6, 1.0), (2.2491 / 3.0, 2.2491 / 1.25), (0.96, 0.96)],
}
GRID, REFINEMENTS, NODES = 7, 12, 8

Distribution = Callable[[FloatArray, FloatArray], FloatArray]
"""(medians, 90th percentiles), each (4,), by stage -> shares of deals by multiple, as `PUBLISHED`."""


def shares(at_least: FloatArray) -> FloatArray:
    return -np.diff(np.concatenate([[1.0], at_least, [0.0]]))


def law_of_v1(snapshot: CalibrationSnapshot) -> Distribution:
    exits = [exit_probability(stage, snapshot.transition_stats, MAX_ROUNDS) for stage in Stage]
    factor, weight = _shock_factors()

    def distribution(medians: FloatArray, p90s: FloatArray) -> FloatArray:
        at_least = np.zeros(len(EDGES))
        for median, alpha, exit_share, part in zip(
            medians, np.log(5) / np.log(p90s / medians), exits, MIX, strict=True
        ):
            xmin = median / 2 ** (1 / alpha)
            survival = np.minimum(1.0, (xmin * factor[:, None] / EDGES) ** alpha)
            at_least += part * exit_share * (weight @ survival)
        return shares(at_least)

    return distribution


def _shock_factors() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of what scales an exit's multiple, Gauss-Legendre in each regime and shock."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    regime = np.concatenate([(low + high) / 2 + (high - low) / 2 * nodes for _, low, high in REGIMES])
    regime_weight = np.concatenate([share * weights / 2 for share, _, _ in REGIMES])
    shocks = 1 + SHOCK_SWING * (SYSTEMATIC_WEIGHT * nodes[:, None] + IDIOSYNCRATIC_WEIGHT * nodes[None, :])
    shock_weight = np.outer(weights / 2, weights / 2)
    return (
        np.multiply.outer(1 + REGIME_IMPACT * regime, shocks).ravel(),
        np.multiply.outer(regime_weight, shock_weight).ravel(),
    )


def law_of_v2(snapshot: CalibrationSnapshot) -> Distribution:
    paths = [path_chances(stage, snapshot.transition_stats, 1.0, MAX_ROUNDS).exits for stage in Stage]
    table = snapshot.cap_table
    retained = (1.0 - table.dilution_per_round_pct) * (1.0 - table.option_pool_refresh_pct)

    def distribution(medians: FloatArray, p90s: FloatArray) -> FloatArray:
        at_least = np.zeros(len(EDGES))
        for median, p90, exits, part in zip(medians, p90s, paths, MIX, strict=True):
            for k, chance in enumerate(exits):
                at_least += part * chance * exit_survival(EDGES / retained**k, median, p90)
        return shares(at_least)

    return distribution


def exit_survival(x: FloatArray, median: float, p90: float) -> FloatArray:
    """P(multiple of an exit >= x) in `three_component_v2`."""
    spread = np.log(p90 / median)
    body = [normal.cdf(-float(z)) for z in np.log(x / median) / spread * normal.QUANTILE_90]
    tail = 0.1 * (x / p90) ** -(normal.DENSITY_90 * normal.QUANTILE_90 / (0.1 * spread))
    return np.where(x <= p90, body, np.where(x <= OUTCOME_CAP, tail, 0.0))


DISTRIBUTIONS = {"three_component_v1": law_of_v1, "three_component_v2": law_of_v2}


def divergence(found: FloatArray) -> float:
    return float(np.sum(PUBLISHED * np.log(PUBLISHED / found)))


def outcomes(point: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Medians and 90th percentiles by stage of (Seed median, ratio of medians, Seed spread, ratio of spreads)."""
    seed, ratio, spread, spread_ratio = point
    medians = seed * ratio ** np.arange(4)
    return medians, medians * np.exp(spread * spread_ratio ** np.arange(4))


def fit(distribution: Distribution, limits: list[tuple[float, float]]) -> tuple[float, ...]:
    """A grid over the limits, then finer ones about the best point so far."""
    lowest, highest = low, high = np.array(limits).T
    best: tuple[float, ...] = tuple((lowest + highest) / 2)
    least = np.inf
    for _ in range(REFINEMENTS):
        axes = [np.unique(axis) for axis in np.linspace(low, high, GRID).T]
        for point in itertools.product(*axes):
            found = divergence(distribution(*outcomes(point)))
            if found < least:
                best, least = point, found
        step = (high - low) / (GRID - 1)
        low, high = np.maximum(lowest, np.array(best) - step), np.minimum(highest, np.array(best) + step)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit exit outcomes to the published distribution of deals.")
    parser.add_argument("model", nargs="?", choices=sorted(DISTRIBUTIONS), default="three_component_v2")
    model = parser.parse_args().model
    (snapshot,) = (found for found in reference_calibrations() if found.exit_outcomes_fitted_for == model)
    distribution = DISTRIBUTIONS[model](snapshot)
    point = fit(distribution, LIMITS[model])
    medians, p90s = outcomes(point)
    medians, p90s = np.round(medians, 2), np.round(np.round(medians, 2) * p90s / medians, 2)
    names = ("Seed median", "ratio of medians", "Seed ln(p90 / median)", "ratio of spreads")
    print(f"{model}: " + ", ".join(f"{name} {value:.4f}" for name, value in zip(names, point, strict=True)))
    print("\nstage   mix  median    p90   shipped median / p90")
    for stage, part, median, p90 in zip(Stage, MIX, medians, p90s, strict=True):
        held = snapshot.exit_outcomes[stage]
        print(f"{stage:5} {part:6.3f} {median:7.2f} {p90:6.2f}   {held.median_moic:.2f} / {held.p90_moic:.2f}")
    found = distribution(medians, p90s)
    print(f"\nshare of deals, %   {'published':>9} {'fitted':>8} {'difference':>11}")
    for label, published, fitted in zip(
        ("<1x", "1-5x", "5-10x", "10-20x", "20-50x", ">=50x"), PUBLISHED, found, strict=True
    ):
        print(f"{label:>17} {100 * published:11.1f} {100 * fitted:8.1f} {100 * (fitted - published):+11.1f}")
    print(f"Kullback-Leibler divergence {divergence(found):.6f} nat per deal")


if __name__ == "__main__":
    main()
