"""One company: what its four draws say, and what the fund gets back for each dollar that it set aside for it.

The draws are, in this order: the idiosyncratic factor, whether it exits, how often it graduated before, the size of the
check. Everything here is compiled; what depends on no scenario stands ready in a `CompanyModel`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.jit import inlined, kernel
from core.simulation.three_component_v2 import normal
from core.simulation.three_component_v2.exit_map import rank_score
from core.simulation.three_component_v2.path import graduations, tilted_failure

WORDS_PER_COMPANY = 4
"""As many as one counter of Philox gives."""

TWO_TO_MINUS_53 = 2.0**-53
LOG_TENTH = math.log(0.1)


class CompanyModel(NamedTuple):
    """A bucket's companies in all scenarios.

    idiosyncratic_loading: of the idiosyncratic factor. correlation: of failures. failure_score: normal score of the
    chance to fail. exit_graduations, failure_graduations: (n_stages from entry,), P(at most j graduations) of those
    that exit or fail. rank_scores: the exit map. log_median, sigma, log_p90, tail: (1 + n_tranches,), the multiple of
    an exit for the entry check and for the tranche of each graduation: log-normal up to its 90th percentile, then
    Pareto with exponent 1 / tail. log_cap: of every multiple. ownership_retained: (n_stages from entry,), the fraction
    of a stake that is left after j graduations. tranche, reserve_ratio: per dollar of the first check. check_sigma: of
    the log of the check. winner_multiple: on allocated capital.
    """

    idiosyncratic_loading: float
    correlation: float
    failure_score: float
    exit_graduations: FloatArray
    failure_graduations: FloatArray
    rank_scores: FloatArray
    log_median: FloatArray
    sigma: FloatArray
    log_p90: FloatArray
    tail: FloatArray
    log_cap: float
    ownership_retained: FloatArray
    tranche: float
    reserve_ratio: float
    check_sigma: float
    winner_multiple: float


@kernel
def uniform(word: int) -> float:
    """In (0, 1), from 64 bits: as `core.simulation.philox.uniforms`."""
    return float((word >> np.uint64(11)) | np.uint64(1)) * TWO_TO_MINUS_53


@inlined
def exit_multiple(model: CompanyModel, tranche: int, score: float) -> float:
    """Quantile function of the multiple at Phi(score); tranche 0 is the first check.

    The Pareto exponent makes the density continuous at the 90th percentile.
    """
    if score <= normal.QUANTILE_90:
        logarithm = model.log_median[tranche] + model.sigma[tranche] * score
    else:
        logarithm = model.log_p90[tranche] - (math.log(normal.cdf(-score)) - LOG_TENTH) * model.tail[tranche]
    return math.exp(min(logarithm, model.log_cap))


@inlined
def exit_return(model: CompanyModel, graduated: int, score: float) -> float:
    """What an exit after that many graduations returns, per dollar of allocated capital.

    The first check earns its multiple diluted once a graduation; the tranche bought at graduation j earns the multiple
    of that stage at the company's own rank, diluted from then on; what was not deployed comes back as it is.
    """
    deployed = min(graduated, model.log_median.size - 1)
    total = exit_multiple(model, 0, score) * model.ownership_retained[graduated]
    for j in range(1, deployed + 1):
        total += model.tranche * exit_multiple(model, j, score) * model.ownership_retained[graduated - j]
    return float((total + (model.reserve_ratio - model.tranche * deployed)) / (1.0 + model.reserve_ratio))


@inlined
def failure_return(model: CompanyModel, graduated: int) -> float:
    """What a failure after that many graduations returns: the reserves that were not deployed."""
    deployed = min(graduated, model.log_median.size - 1)
    return (model.reserve_ratio - model.tranche * deployed) / (1.0 + model.reserve_ratio)


@inlined
def latent(model: CompanyModel, common: float, word: int) -> float:
    """Z: what the company shares with its sector, and its idiosyncratic factor."""
    return common + model.idiosyncratic_loading * normal.quantile(uniform(word))


@inlined
def company_return(model: CompanyModel, failure: float, common: float, words: NDArray[np.uint64]) -> float:
    """One company's multiple on allocated capital. failure: its chance to fail; words: (4,)."""
    if uniform(words[1]) < failure:
        return failure_return(model, graduations(model.failure_graduations, uniform(words[2])))
    score = rank_score(model.rank_scores, latent(model, common, words[0]))
    return exit_return(model, graduations(model.exit_graduations, uniform(words[2])), score)


@inlined
def check_weight(model: CompanyModel, word: int) -> float:
    """The size of a check, lognormal, up to a factor that all checks of a bucket share."""
    return math.exp(model.check_sigma * normal.quantile(uniform(word))) if model.check_sigma > 0.0 else 1.0


@kernel
def failure_chances(model: CompanyModel, common_score: FloatArray) -> FloatArray:
    """The chance to fail in each scenario: (n_scenarios,) -> (n_scenarios,)."""
    chances = np.empty_like(common_score)
    for s in range(chances.size):
        chances[s] = tilted_failure(model.failure_score, common_score[s], model.correlation)
    return chances


@kernel
def add_companies(  # noqa: PLR0917 - a kernel takes its arguments by position
    model: CompanyModel,
    words: NDArray[np.uint64],
    first: int,
    failure: FloatArray,
    common: FloatArray,
    sums: FloatArray,
) -> int:
    """Add companies to a bucket's sums of weighted multiples and of weights; returns how many of them are winners.

    words: (n_companies, BLOCK_SCENARIOS, 4), of which those from `first` on are meant. failure, common: (n_scenarios,).
    sums: (2, n_scenarios).
    """
    winners = 0
    for i in range(words.shape[0]):
        for s in range(failure.size):
            drawn = words[i, first + s]
            multiple = company_return(model, failure[s], common[s], drawn)
            check = check_weight(model, drawn[3])
            sums[0, s] += check * multiple
            sums[1, s] += check
            winners += multiple >= model.winner_multiple
    return winners
