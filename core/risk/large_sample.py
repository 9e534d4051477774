"""A portfolio in millions of scenarios out of sample, part by part: the first of them are those that validation draws.

Intervals are those of the normal distribution, to which means of so many scenarios come near; of the loss probability
Wilson's, as in the validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.portfolio.dollars import WholeDeals
from core.portfolio.limits import Limits
from core.request.normalized_config import NormalizedConfig
from core.risk.comparison_portfolios import EQUAL_WEIGHTS, ComparisonPortfolio, equal_weights
from core.risk.intervals import JOINT_QUANTILE, NORMAL_QUANTILE, normal, wilson
from core.risk.out_of_sample import Estimate, Known, OutOfSample, at_least, at_most
from core.risk.out_of_sample_trial import OutOfSampleTrial
from core.risk.stress import RegimeOutcome, StressFigures
from core.risk.tally import Moments, TalliedFigures, Tally, joined, masks_of, tallied_figures, tally
from core.simulation.block_ranges import BlockRange, block_ranges_of
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of


@dataclass(frozen=True, slots=True)
class Judged:
    """A portfolio, as it was chosen and as it is bought. weights: (n_buckets,)."""

    config: NormalizedConfig
    weights: FloatArray
    deals: WholeDeals


@dataclass(frozen=True, slots=True)
class PartTallies:
    """Of the scenarios of one part. gain: of the weights' multiple over that of equal weights, scenario by scenario."""

    weights: Tally
    whole_deals: Tally
    gain: Moments


@dataclass(frozen=True, slots=True)
class JudgedAgainst:
    """What a large sample is set beside. limits: as enforced; granted_losses: share of scenarios that may lose money.

    in_sample, whole_deals_in_sample: expected MOIC on the matrix. equal_is_feasible: whether equal weights keep every
    limit on the matrix; None where they are the answer itself. known, whole_deals_known: of either, where expectations
    are those of the distribution.
    """

    limits: Limits
    granted_losses: float
    in_sample: float
    whole_deals_in_sample: float
    equal_is_feasible: bool | None
    known: Known | None = None
    whole_deals_known: Known | None = None


@dataclass(frozen=True, slots=True)
class LargeSample:
    """A portfolio, and the whole deals that it buys, in very many scenarios out of sample."""

    scenarios: int
    weights: OutOfSample
    whole_deals: OutOfSample
    comparison_portfolios: Sequence[ComparisonPortfolio]


def parts_of_sample(judged: Judged, inputs: SimulationInputs, scenarios: int) -> list[BlockRange]:
    """Of about equal work."""
    matrix_companies = model_of(judged.config.sim_model_version).matrix_companies(inputs)
    draws = int(matrix_companies.sum() + judged.deals.counts.sum()) + len(judged.config.buckets)
    return block_ranges_of(scenarios, draws)


def tally_part(judged: Judged, inputs: SimulationInputs, part: BlockRange) -> PartTallies:
    """Needs memory for the part's scenarios alone."""
    trial = OutOfSampleTrial(judged.config, inputs, part.scenarios, part.start, remember=False)
    chosen = trial.of_weights(judged.weights)
    equal = trial.of_weights(equal_weights(len(judged.weights)))
    deals = judged.deals
    bought = trial.of_deals(deals.weights, deals.cash_weight, deals.counts)
    masks = masks_of(chosen.regimes, len(inputs.regimes))
    gain = Moments.of(chosen.multiples - equal.multiples, masks)
    return PartTallies(tally(chosen, masks), tally(bought, masks), gain)


def large_sample(inputs: SimulationInputs, against: JudgedAgainst, tallies: Sequence[PartTallies]) -> LargeSample:
    """tallies: of all parts, in their order."""
    weights = joined([part.weights for part in tallies])
    whole_deals = joined([part.whole_deals for part in tallies])
    gain = Moments.joined([part.gain for part in tallies])
    return LargeSample(
        scenarios=int(weights.counts.sum()),
        weights=_judged(inputs, against, weights, against.in_sample, against.known),
        whole_deals=_judged(inputs, against, whole_deals, against.whole_deals_in_sample, against.whole_deals_known),
        comparison_portfolios=_comparisons(against, weights, gain),
    )


def _judged(
    inputs: SimulationInputs, against: JudgedAgainst, found: Tally, in_sample: float, known: Known | None
) -> OutOfSample:
    """As `core.risk.out_of_sample.judge_out_of_sample` has it."""
    quantile = NORMAL_QUANTILE if known is None else JOINT_QUANTILE
    limits = against.limits
    figures = tallied_figures(found, limits.cvar_confidence)
    assert figures is not None
    n, errors = figures.scenarios, figures.errors
    mean = _normal(figures.expected_moic, errors.expected_moic, n)
    lost = Estimate(figures.lost / n, _known(errors.loss_probability), wilson(figures.lost, n, quantile), n)
    winners = figures.expected_winners, errors.expected_winners
    if known is not None:
        winners = known.expected_winners, known.winners_error
    return OutOfSample(
        scenarios=n,
        mean=mean.value,
        mean_interval=mean.interval,
        standard_error=mean.standard_error,
        optimism_gap=in_sample - mean.value,
        loss_probability=at_most(lost, against.granted_losses),
        cvar=at_most(_normal(figures.cvar, errors.cvar, n, quantile), limits.cvar_limit),
        expected_winners=at_least(_normal(*winners, n), limits.min_expected_winners),
        regimes=[
            RegimeOutcome(regime.name, regime.probability, figures)
            for regime, figures in zip(inputs.regimes, _by_regime(inputs, found, limits), strict=True)
        ],
    )


def _comparisons(against: JudgedAgainst, weights: Tally, gain: Moments) -> list[ComparisonPortfolio]:
    if against.equal_is_feasible is None:
        return []
    answer, _ = weights.multiples.mean_and_error(weights.counts)
    difference, error = gain.mean_and_error(weights.counts)
    return [
        ComparisonPortfolio.measured(
            EQUAL_WEIGHTS,
            expected_moic=answer - difference,
            difference=difference,
            standard_error=_known(error),
            scenarios=int(weights.counts.sum()),
            feasible=against.equal_is_feasible,
        )
    ]


def _normal(value: float, error: float | None, scenarios: int, quantile: float = NORMAL_QUANTILE) -> Estimate:
    known = _known(error)
    return Estimate(value, known, normal(value, known, quantile), scenarios)


def _known(error: float | None) -> float:
    """Of more than one scenario every error is."""
    assert error is not None
    return error


def _by_regime(inputs: SimulationInputs, found: Tally, limits: Limits) -> Iterator[StressFigures | None]:
    """None where no scenario was in the regime."""
    for position in range(len(inputs.regimes)):
        figures = tallied_figures(found, limits.cvar_confidence, position)
        yield None if figures is None else _alone(figures, position, len(inputs.regimes))


def _alone(figures: TalliedFigures, position: int, n_regimes: int) -> StressFigures:
    """Within one regime all scenarios weigh the same."""
    shares = np.zeros(n_regimes)
    shares[position] = 1.0
    return StressFigures(
        shares=shares,
        scenarios=figures.scenarios,
        effective_scenarios=float(figures.scenarios),
        expected_moic=figures.expected_moic,
        loss_probability=figures.lost / figures.scenarios,
        cvar=figures.cvar,
        expected_winners=figures.expected_winners,
        errors=figures.errors,
    )
