"""All that is checked after the solve, in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import FloatArray, IntArray
from core.config import NormalizedConfig
from core.errors import Cancelled
from core.matrix import ScenarioMatrix
from core.optimization.dollars import WholeDeals
from core.optimization.limits import Limits
from core.optimization.strict import portfolio_multiples
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.validation.greedy import GreedyPortfolio, greedy_portfolio
from core.validation.out_of_sample import OutOfSample, judge_out_of_sample
from core.validation.recheck import Recheck, recheck


@dataclass(frozen=True, slots=True)
class WholeDealsCheck:
    """The portfolio as it can be bought.

    in_sample: on the matrix, cash at multiple 1; its budget is short of the fund by that cash.
    out_of_sample: with as many independent companies in a bucket as there are deals.
    """

    deals: WholeDeals
    in_sample: Recheck
    out_of_sample: OutOfSample

    def as_json(self) -> dict[str, Any]:
        figures = self.in_sample.figures
        return {
            "dealCount": int(self.deals.counts.sum()),
            "uninvestedUsd": self.deals.cash_cents / 100,
            "inSample": {
                "expectedMoic": figures.expected_moic,
                "lossProbability": figures.loss_probability,
                "cvar": figures.cvar,
                "expectedWinners": figures.expected_winners,
            },
            "boundViolations": dict(self.in_sample.bound_violations),
            "outOfSample": self.out_of_sample.as_json(),
        }


@dataclass(frozen=True, slots=True)
class ValidationMetrics:
    """in_sample: every limit, as relaxed, on the matrix; the others as their types say."""

    in_sample: Recheck
    greedy: GreedyPortfolio
    out_of_sample: OutOfSample
    whole_deals: WholeDealsCheck

    def as_json(self) -> dict[str, Any]:
        return {
            "maxLossViolation": self.in_sample.max_loss_violation,
            "cvarViolation": self.in_sample.cvar_violation,
            "winnerCountViolation": self.in_sample.winner_count_violation,
            "budgetViolation": self.in_sample.budget_violation,
            "boundViolations": dict(self.in_sample.bound_violations),
            "feasible": self.in_sample.feasible,
            "greedyObjective": self.greedy.objective,
            "greedyFeasible": self.greedy.feasible,
            "outOfSample": self.out_of_sample.as_json(),
            "wholeDeals": self.whole_deals.as_json(),
        }


def validate(
    config: NormalizedConfig,
    limits: Limits,
    matrix: ScenarioMatrix,
    inputs: SimulationInputs,
    *,
    weights: FloatArray,
    deals: WholeDeals,
    progress: Callable[[str], None] = lambda _message: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ValidationMetrics:
    """Recheck the allocation, build its greedy rival, and test it and its whole deals in fresh scenarios.

    limits: as relaxation left them, on the matrix. weights: (n_buckets,), normalised; deals: what they buy.
    progress: called with what is about to be done. Raises Cancelled as soon as `cancelled` answers True between two
    steps.
    """

    def begin(step: str) -> None:
        if cancelled():
            raise Cancelled(f"validation was told to stop before: {step}")
        progress(step)

    begin("rechecking every limit")
    in_sample = recheck(weights, matrix, config, limits)
    begin("building the greedy portfolio")
    greedy = greedy_portfolio(matrix, config)
    begin("drawing fresh scenarios")
    trial = _FreshTrial(config, limits, matrix.n_scenarios, inputs)
    out_of_sample = trial.judge(weights, 0.0, trial.matrix_companies, in_sample.figures.expected_moic)
    begin("drawing fresh scenarios for whole deals")
    deals_in_sample = recheck(deals.weights, matrix, config, limits, deals.cash_weight)
    deals_out_of_sample = trial.judge(
        deals.weights, deals.cash_weight, deals.counts, deals_in_sample.figures.expected_moic
    )
    return ValidationMetrics(
        in_sample, greedy, out_of_sample, WholeDealsCheck(deals, deals_in_sample, deals_out_of_sample)
    )


class _FreshTrial:
    """The fresh scenarios that a portfolio is judged in, drawn once for all portfolios with the matrix's companies."""

    def __init__(
        self, config: NormalizedConfig, limits: Limits, matrix_scenarios: int, inputs: SimulationInputs
    ) -> None:
        self._config, self._limits, self._inputs = config, limits, inputs
        # Where the loss limit was relaxed, the count that was granted says more than the share that was asked for.
        self._max_loss_probability = max(config.max_loss_probability, limits.max_losses / matrix_scenarios)
        self._model = model_of(config.sim_model_version)
        single = np.ones(len(config.buckets), dtype=np.int64)
        self._single_moic = self._draw(single)
        self._is_winner = (self._single_moic >= inputs.winner_multiple).astype(np.float64)
        self.matrix_companies = self._model.matrix_companies(inputs)

    def judge(self, weights: FloatArray, cash_weight: float, companies: IntArray, in_sample_mean: float) -> OutOfSample:
        """weights, companies: (n_buckets,); with companies[b] independent companies behind bucket b's weight."""
        moic = self._single_moic if np.all(companies == 1) else self._draw(companies)
        all_in = np.array([bucket.all_in_cost_usd for bucket in self._config.buckets])
        deals = weights * self._config.total_fund_size_usd / all_in
        return judge_out_of_sample(
            multiples=portfolio_multiples(weights, moic, cash_weight),
            winners=portfolio_multiples(deals, self._is_winner),
            in_sample_mean=in_sample_mean,
            limits=self._limits,
            max_loss_probability=self._max_loss_probability,
            matrix_key=self._inputs.matrix_key,
        )

    def _draw(self, companies: IntArray) -> FloatArray:
        return self._model.fresh(self._inputs, self._config.validation_scenarios, companies).moic
