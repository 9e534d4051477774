"""All that is checked after the solve, in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.errors import Cancelled
from core.matrix.scenario_matrix import ScenarioMatrix
from core.matrix.scenario_set import Scenarios
from core.portfolio.dollars import WholeDeals
from core.portfolio.limits import Limits
from core.portfolio.strict import expected_winners, portfolio_multiples
from core.request.normalized_config import NormalizedConfig
from core.risk.bucket_stats import BucketStats, bucket_stats
from core.risk.comparison_portfolios import (
    EQUAL_WEIGHTS,
    GREEDY,
    SAME_STAGES,
    Candidate,
    ComparisonPortfolio,
    comparison_portfolios,
    equal_weights,
    same_stages,
)
from core.risk.greedy import GreedyPortfolio, greedy_portfolio
from core.risk.out_of_sample import Known, OutOfSample, judge_out_of_sample
from core.risk.out_of_sample_trial import OutOfSampleTrial, PortfolioDraws
from core.risk.recheck import Recheck, recheck
from core.risk.reduction_loss import ReductionLoss, reduction_loss
from core.risk.sampling_error import StandardErrors, standard_errors
from core.risk.scenario_sets import scenarios_to_choose_on
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of


@dataclass(frozen=True, slots=True)
class WholeDealsCheck:
    """The portfolio as it can be bought.

    in_sample: on the matrix, cash at multiple 1; its budget is short of the fund by that cash; errors: of its figures.
    out_of_sample: with as many independent companies in a bucket as there are deals.
    """

    deals: WholeDeals
    in_sample: Recheck
    errors: StandardErrors
    out_of_sample: OutOfSample


@dataclass(frozen=True, slots=True)
class GeneratedCheck:
    """The weights on all scenarios that were generated. loss: what choosing some of them lost."""

    check: Recheck
    errors: StandardErrors
    loss: ReductionLoss


@dataclass(frozen=True, slots=True)
class ValidationMetrics:
    """in_sample: every limit, as relaxed, on the matrix; errors: of its figures; buckets: each alone, in key order;
    generated: on all scenarios that the matrix's were chosen from, None where it has them all; the others as their
    types say."""

    in_sample: Recheck
    errors: StandardErrors
    buckets: Sequence[BucketStats]
    generated: GeneratedCheck | None
    greedy: GreedyPortfolio
    comparison_portfolios: Sequence[ComparisonPortfolio]
    out_of_sample: OutOfSample
    whole_deals: WholeDealsCheck


def validate(
    config: NormalizedConfig,
    limits: Limits,
    matrix: ScenarioMatrix,
    inputs: SimulationInputs,
    *,
    weights: FloatArray,
    deals: WholeDeals,
    other_seeds: Callable[[], Sequence[Candidate]] = tuple,
    progress: Callable[[str], None] = lambda _message: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ValidationMetrics:
    """Recheck the allocation, build the greedy portfolio, and test it and its whole deals out of sample.

    limits: as relaxation left them, on the scenarios that the portfolio was chosen on. weights: (n_buckets,),
    normalized; deals: what they buy. other_seeds: what the same request gives under other seeds. progress: called with
    what is about to be done. Raises Cancelled as soon as `cancelled` answers True between two steps.
    """

    def begin(step: str) -> None:
        if cancelled():
            raise Cancelled(f"validation was told to stop before: {step}")
        progress(step)

    begin("rechecking every limit")
    scenarios = scenarios_to_choose_on(config, matrix, inputs, cancelled)
    in_sample = recheck(weights, scenarios, config, limits)
    begin("building the greedy portfolio")
    greedy = greedy_portfolio(scenarios, config)
    judge = _Judge(config, limits, scenarios, inputs)
    begin("asking again under other seeds")
    candidates = [*judge.plainer_portfolios(weights, greedy), *other_seeds()]
    begin("drawing scenarios out of sample")
    trial = OutOfSampleTrial(config, inputs, config.validation_scenarios)
    draws = trial.of_weights(weights)
    out_of_sample = judge.out_of_sample(weights, draws, in_sample)
    expected = scenarios.expectations
    others = comparison_portfolios(
        weights,
        trial,
        candidates,
        cvar_confidence=config.cvar_confidence_level,
        expected=None if expected is None else expected.mean,
        epsilon=config.primary_lock_epsilon,
    )
    begin("drawing scenarios out of sample for whole deals")
    whole_deals = judge.whole_deals(deals, trial)
    generated = None
    if scenarios is matrix and inputs.scenario_count != matrix.n_scenarios:
        begin("generating all scenarios again")
        generated = judge.on_all_generated(weights, matrix, draws)
    errors = judge.in_sample_errors(weights, 0.0, draws)
    return ValidationMetrics(
        in_sample, errors, bucket_stats(scenarios), generated, greedy, others, out_of_sample, whole_deals
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """What all judgements of one session share. scenarios: that the portfolio was chosen on."""

    config: NormalizedConfig
    limits: Limits
    scenarios: Scenarios
    inputs: SimulationInputs

    def out_of_sample(self, weights: FloatArray, draws: PortfolioDraws, in_sample: Recheck) -> OutOfSample:
        # Where the loss limit was relaxed, the count that was granted says more than the share that was asked for.
        granted = self.limits.max_losses / self.scenarios.n_scenarios
        return judge_out_of_sample(
            draws,
            in_sample_mean=in_sample.figures.expected_moic,
            limits=self.limits,
            max_loss_probability=max(self.config.max_loss_probability, granted),
            inputs=self.inputs,
            known=Known.of(weights, self.config, self.scenarios.expectations),
        )

    def plainer_portfolios(self, weights: FloatArray, greedy: GreedyPortfolio) -> list[Candidate]:
        """Equal weights, the greedy portfolio, and the answer's stages, even over sectors."""
        equal = equal_weights(self.scenarios.n_buckets)
        found = [
            Candidate(EQUAL_WEIGHTS, equal, 0.0, self._keeps_limits(equal)),
            Candidate(GREEDY, greedy.weights, greedy.cash_weight, greedy.feasible),
        ]
        if self.scenarios.expectations is not None:
            even = same_stages(weights, [bucket.stage.value for bucket in self.config.buckets])
            found.append(Candidate(SAME_STAGES, even, 0.0, self._keeps_limits(even)))
        return found

    def _keeps_limits(self, weights: FloatArray) -> bool:
        """On the scenarios that the answer was chosen on."""
        return recheck(weights, self.scenarios, self.config, self.limits).feasible

    def whole_deals(self, deals: WholeDeals, trial: OutOfSampleTrial) -> WholeDealsCheck:
        in_sample = recheck(deals.weights, self.scenarios, self.config, self.limits, deals.cash_weight)
        draws = trial.of_deals(deals.weights, deals.cash_weight, deals.counts)
        errors = self.in_sample_errors(deals.weights, deals.cash_weight, draws)
        return WholeDealsCheck(deals, in_sample, errors, self.out_of_sample(deals.weights, draws, in_sample))

    def on_all_generated(self, weights: FloatArray, matrix: ScenarioMatrix, draws: PortfolioDraws) -> GeneratedCheck:
        """They are not stored, and generated anew; the limits are those of the request, at their number."""
        everything = model_of(self.config.sim_model_version).generate(self.inputs)
        granted = self.limits.max_losses / matrix.n_scenarios
        losses = math.floor(max(self.config.max_loss_probability, granted) * everything.n_scenarios + 1e-9)
        whole = replace(self, scenarios=everything, limits=replace(self.limits, max_losses=losses))
        check = recheck(weights, everything, self.config, whole.limits)
        loss = reduction_loss(everything, matrix)
        return GeneratedCheck(check, whole.in_sample_errors(weights, 0.0, draws), loss)

    def in_sample_errors(self, weights: FloatArray, cash_weight: float, draws: PortfolioDraws) -> StandardErrors:
        """Scenarios do not keep who won in which of them; others tell how much winners vary, with one company a
        bucket, which is as much as they can. By the distribution, expectations have their own, small errors."""
        multiples = portfolio_multiples(weights, self.scenarios.moic, cash_weight)
        errors = standard_errors(multiples, multiples, self.limits.cvar_confidence)
        expected = self.scenarios.expectations
        if expected is not None:
            winners = expected_winners(weights, self.config, expected.win_error)
            return replace(errors, expected_moic=math.fsum(weights * expected.mean_error), expected_winners=winners)
        spread = float(np.std(draws.winners, ddof=1))
        return replace(errors, expected_winners=spread / math.sqrt(self.scenarios.n_scenarios))
