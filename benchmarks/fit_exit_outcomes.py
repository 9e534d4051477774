"""Fit the exit outcomes of the shipped benchmark to a published distribution of deal outcomes. Deterministic.

    python benchmarks/fit_exit_outcomes.py

Under `three_component_v1` a deal of stage g exits with a probability E_g that follows from the transition rates, and
then returns f times a Pareto draw of median m_g and exponent alpha, where f carries the regime and the two shocks; else
it returns 0. So P(return >= x) = sum over stages of mix_g * E_g * mean over f of min(1, (f * xmin_g / x)^alpha), with
xmin_g = m_g / 2^(1/alpha). The rates are those of the snapshot. Three figures are fitted, by a grid that is refined
about its best point: the Seed median, the ratio of each stage's median to the one before, and a common alpha. The
criterion is the Kullback-Leibler divergence of the fitted from the published shares (for counts of deals, maximum
likelihood), within the limits below.
"""

from __future__ import annotations

import itertools

import numpy as np

from core.arrays import FloatArray
from core.simulation.three_component_v1 import IDIOSYNCRATIC_WEIGHT, REGIME_IMPACT, SHOCK_SWING, SYSTEMATIC_WEIGHT
from core.simulation.three_component_v1_fresh import exit_probability
from core.stages import Stage
from db.benchmarks import shipped_benchmarks

# Correlation Ventures, about 21,640 US venture financings, exits of 2004-2013: share of deals by gross multiple.
EDGES = np.array([1.0, 5.0, 10.0, 20.0, 50.0])
PUBLISHED = np.array([0.648, 0.253, 0.059, 0.025, 0.011, 0.004])

# Rounds of known series of US companies, January 2004 to October 2013, in the Crunchbase export of October 2013.
ROUNDS = {Stage.SEED: 6566, Stage.A: 6364, Stage.B: 3373, Stage.C: 3299}

# Regime: probability, least and greatest shock. The default request of the product.
REGIMES = ((0.50, -0.3, 0.3), (0.25, 0.3, 1.0), (0.25, -1.0, -0.3))
MAX_ROUNDS = 10

# A Pareto exponent below 1.25 makes sample means meaningless; medians that fall faster than this are not credible.
LIMITS = {"seed median": (1.0, 6.0), "ratio of medians": (0.6, 1.0), "alpha": (1.25, 2.5)}
GRID, REFINEMENTS, NODES = 9, 9, 8


def shock_factors() -> tuple[FloatArray, FloatArray]:
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


def deal_shares(medians: FloatArray, alphas: FloatArray, exits: FloatArray, mix: FloatArray) -> FloatArray:
    """Shares of deals by multiple, as `PUBLISHED`. All arguments: shape (4,), by stage."""
    factor, weight = shock_factors()
    at_least = np.zeros(len(EDGES))
    for median, alpha, exit_share, share in zip(medians, alphas, exits, mix, strict=True):
        xmin = median / 2 ** (1 / alpha)
        survival = np.minimum(1.0, (xmin * factor[:, None] / EDGES) ** alpha)
        at_least += share * exit_share * (weight @ survival)
    return -np.diff(np.concatenate([[1.0], at_least, [0.0]]))


def divergence(shares: FloatArray) -> float:
    return float(np.sum(PUBLISHED * np.log(PUBLISHED / shares)))


def fit(exits: FloatArray, mix: FloatArray) -> tuple[float, float, float]:
    """(Seed median, ratio, alpha): a grid over the limits, then finer ones about the best point so far."""
    limits = np.array(list(LIMITS.values()))
    low, high = limits.T
    best, least = tuple(limits.mean(axis=1)), np.inf
    for _ in range(REFINEMENTS):
        for point in itertools.product(*np.linspace(low, high, GRID).T):
            seed, ratio, alpha = point
            found = divergence(deal_shares(seed * ratio ** np.arange(4), np.full(4, alpha), exits, mix))
            if found < least:
                best, least = point, found
        step = (high - low) / (GRID - 1)
        low, high = np.maximum(limits[:, 0], np.array(best) - step), np.minimum(limits[:, 1], np.array(best) + step)
    return best


def main() -> None:
    (snapshot,) = shipped_benchmarks()
    stages = list(Stage)
    exits = np.array([exit_probability(stage, snapshot.transition_stats, MAX_ROUNDS) for stage in stages])
    mix = np.array([ROUNDS[stage] for stage in stages]) / sum(ROUNDS.values())
    seed, ratio, alpha = fit(exits, mix)
    medians = np.round(seed * ratio ** np.arange(4), 2)
    p90s = np.round(medians * 5 ** (1 / alpha), 2)
    alphas = np.log(5) / np.log(p90s / medians)
    print(f"fitted: Seed median {seed:.4f}, ratio of medians {ratio:.4f}, alpha {alpha:.4f}\n")
    print("stage   mix   P(exit)  median    p90   alpha  mean deal   shipped median / p90")
    for stage, part, reach, median, p90, tail in zip(stages, mix, exits, medians, p90s, alphas, strict=True):
        mean = reach * median / 2 ** (1 / tail) * tail / (tail - 1)
        held = snapshot.exit_outcomes[stage]
        print(
            f"{stage:5} {part:6.3f} {reach:8.3f} {median:7.2f} {p90:7.2f} {tail:7.3f} {mean:8.2f}x"
            f"      {held.median_moic:.2f} / {held.p90_moic:.2f}"
        )
    shares = deal_shares(medians, alphas, exits, mix)
    print(f"\nshare of deals, %   {'published':>9} {'fitted':>8} {'difference':>11}")
    for label, published, fitted in zip(
        ("<1x", "1-5x", "5-10x", "10-20x", "20-50x", ">=50x"), PUBLISHED, shares, strict=True
    ):
        print(f"{label:>17} {100 * published:11.1f} {100 * fitted:8.1f} {100 * (fitted - published):+11.1f}")
    print(f"Kullback-Leibler divergence {divergence(shares):.4f} nat per deal")


if __name__ == "__main__":
    main()
