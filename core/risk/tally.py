"""What happened to a portfolio in scenarios too many to keep: sums by block and regime, and every loss.

Each block of scenarios is summed up by itself, and blocks are put together in their order. So the figures are the same
to the bit however the blocks were shared among workers, and what is kept grows by a few numbers a block and twelve
bytes a losing scenario.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import BoolArray, FloatArray, IntArray
from core.portfolio.strict import exact_mean, shortfalls
from core.risk import measures
from core.risk.out_of_sample_trial import PortfolioDraws
from core.risk.sampling_error import StandardErrors
from core.simulation.block_ranges import BLOCK_SCENARIOS
from core.solver.program import LOSS_THRESHOLD

Masks = Sequence[BoolArray]
"""For each block, (n_regimes, n_scenarios of the block): whether the scenario is in the regime."""

ALL = slice(None)

ROUNDING = 1e-9
"""Of a number of scenarios: 5% of 10,000 comes out a little above 500."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of one quantity, (n_blocks, n_regimes) each: its mean, and the sum of squared deviations from it; 0 where no
    scenario was."""

    means: FloatArray
    deviations: FloatArray

    @classmethod
    def of(cls, values: FloatArray, masks: Masks) -> Moments:
        """values: (n_scenarios,)."""
        means, deviations = np.zeros((2, len(masks), len(masks[0])))
        for block, of_regimes in enumerate(masks):
            within = values[block * BLOCK_SCENARIOS :][: of_regimes.shape[1]]
            for regime, mask in enumerate(of_regimes):
                own = within[mask]
                if own.size:
                    means[block, regime] = exact_mean(own)
                    deviations[block, regime] = math.fsum((own - means[block, regime]) ** 2)
        return cls(means, deviations)

    @classmethod
    def joined(cls, parts: Sequence[Moments]) -> Moments:
        return cls(np.concatenate([part.means for part in parts]), np.concatenate([part.deviations for part in parts]))

    def mean_and_error(self, counts: IntArray, columns: slice = ALL) -> tuple[float, float | None]:
        """Of all scenarios in these regimes, at least one; no error of a single one. counts: (n_blocks, n_regimes).

        Source: Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance", how samples are combined.
        """
        n, means = counts[:, columns], self.means[:, columns]
        total = int(n.sum())
        mean = math.fsum((n * means).ravel()) / total
        if total == 1:
            return mean, None
        between = math.fsum((n * (means - mean) ** 2).ravel())
        within = math.fsum(self.deviations[:, columns].ravel())
        return mean, math.sqrt((within + between) / (total - 1) / total)


@dataclass(frozen=True, slots=True)
class Tally:
    """counts, lost: (n_blocks, n_regimes), scenarios and those in which money is lost. multiples, winners: likewise.

    losses, regimes: (n_losing,), the fraction of capital lost, > 0, and the position of the scenario's regime.
    """

    counts: IntArray
    lost: IntArray
    multiples: Moments
    winners: Moments
    losses: FloatArray
    regimes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TalliedFigures:
    """Of some regimes' scenarios. lost: how many lose money."""

    scenarios: int
    lost: int
    expected_moic: float
    cvar: float
    expected_winners: float
    errors: StandardErrors


def masks_of(regimes: IntArray, n_regimes: int) -> Masks:
    """Which scenarios of each block are in each regime. regimes: (n_scenarios,), of whole blocks but for the last."""
    blocks = [regimes[first : first + BLOCK_SCENARIOS] for first in range(0, regimes.size, BLOCK_SCENARIOS)]
    return [np.arange(n_regimes)[:, None] == block for block in blocks]


def tally(draws: PortfolioDraws, masks: Masks) -> Tally:
    """masks: those of the draws' regimes."""
    losses = shortfalls(draws.multiples)
    losing = losses > 0.0
    is_lost = draws.multiples < LOSS_THRESHOLD
    return Tally(
        counts=np.array([np.count_nonzero(mask, axis=1) for mask in masks]),
        lost=np.array(
            [
                np.count_nonzero(mask & is_lost[block * BLOCK_SCENARIOS :][: mask.shape[1]], axis=1)
                for block, mask in enumerate(masks)
            ]
        ),
        multiples=Moments.of(draws.multiples, masks),
        winners=Moments.of(draws.winners, masks),
        losses=losses[losing],
        regimes=draws.regimes[losing].astype(np.int32),
    )


def joined(tallies: Sequence[Tally]) -> Tally:
    """Of consecutive scenarios, in their order."""
    return Tally(
        counts=np.concatenate([part.counts for part in tallies]),
        lost=np.concatenate([part.lost for part in tallies]),
        multiples=Moments.joined([part.multiples for part in tallies]),
        winners=Moments.joined([part.winners for part in tallies]),
        losses=np.concatenate([part.losses for part in tallies]),
        regimes=np.concatenate([part.regimes for part in tallies]),
    )


def tallied_figures(found: Tally, confidence: float, regime: int | None = None) -> TalliedFigures | None:
    """Over all regimes, or within one; None where no scenario was. confidence: of CVaR, in [0, 1)."""
    columns = ALL if regime is None else slice(regime, regime + 1)
    n, lost = int(found.counts[:, columns].sum()), int(found.lost[:, columns].sum())
    if n == 0:
        return None
    losses = found.losses if regime is None else found.losses[found.regimes == regime]
    cvar, cvar_error = _cvar_with_error(losses, n, confidence)
    moic, moic_error = found.multiples.mean_and_error(found.counts, columns)
    winners, winners_error = found.winners.mean_and_error(found.counts, columns)
    lost_error = math.sqrt(lost / n * (1.0 - lost / n) / n) if n > 1 else None
    errors = StandardErrors(moic_error, lost_error, cvar_error, winners_error)
    return TalliedFigures(n, lost, moic, cvar, winners, errors)


def _cvar_with_error(losses: FloatArray, n: int, confidence: float) -> tuple[float, float | None]:
    """As `measures.cvar` and `sampling_error.tail_contributions` have it; scenarios without a loss
    are not among `losses`, and only counted."""
    tail = (1.0 - confidence) * n
    worst = -np.sort(-losses)[: math.ceil(tail)]
    cvar = measures.cvar(losses, confidence, n_scenarios=n)
    if n == 1:
        return cvar, None
    edge = max(0, math.ceil(tail - ROUNDING) - 1)
    value_at_risk = float(worst[edge]) if edge < worst.size else 0.0
    contributions = np.maximum(0.0, worst - value_at_risk) / (1.0 - confidence)
    mean = math.fsum(contributions) / n
    squares = math.fsum((contributions - mean) ** 2) + (n - contributions.size) * mean**2
    return cvar, math.sqrt(squares / (n - 1) / n)
