"""scenarios out of sample that portfolios are judged in: the same ones for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray, IntArray
from core.portfolio.strict import portfolio_multiples
from core.request.normalized_config import NormalizedConfig
from core.simulation.drawing import draw, remembered_draw
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.simulation.out_of_sample import OutOfSampleScenarios
from core.simulation.philox import Purpose


@dataclass(frozen=True, slots=True)
class PortfolioDraws:
    """What happened to a portfolio. All arrays: (n_scenarios,).

    multiples: of the portfolio. winners: how many companies it expects to be winners. regimes: each scenario's macro
    regime, as a position in the inputs' regimes.
    """

    multiples: FloatArray
    winners: FloatArray
    regimes: IntArray


class OutOfSampleTrial:
    """Draws once what all portfolios with the matrix's companies share; whole deals need companies of their own.

    start: the first of the scenarios, and the first of a block. remember: whether another trial of the same scenarios
    is to find them drawn; not where there are too many to keep.
    """

    def __init__(
        self,
        config: NormalizedConfig,
        inputs: SimulationInputs,
        scenarios: int,
        start: int = 0,
        *,
        remember: bool = True,
    ) -> None:
        self._config, self._inputs, self._scenarios, self._start = config, inputs, scenarios, start
        self._drawn = remembered_draw if remember else draw
        self.matrix_companies = model_of(config.sim_model_version).matrix_companies(inputs)
        self._singles = self._draw(np.ones(len(config.buckets), dtype=np.int64))
        self._is_winner = (self._singles.moic >= inputs.winner_multiple).astype(np.float64)
        alike = bool(np.all(self.matrix_companies == 1))
        self._of_matrix = self._singles if alike else self._draw(self.matrix_companies)

    def of_weights(self, weights: FloatArray, cash_weight: float = 0.0) -> PortfolioDraws:
        """weights: (n_buckets,), in buckets of as many companies as the matrix has; with the cash they add up to 1."""
        return self._outcome(weights, cash_weight, self._of_matrix)

    def of_deals(self, weights: FloatArray, cash_weight: float, counts: IntArray) -> PortfolioDraws:
        """weights, counts: (n_buckets,), of so many independent companies in each bucket."""
        return self._outcome(weights, cash_weight, self._draw(counts))

    def _outcome(self, weights: FloatArray, cash_weight: float, drawn: OutOfSampleScenarios) -> PortfolioDraws:
        all_in = np.array([bucket.all_in_cost_usd for bucket in self._config.buckets])
        deals = weights * self._config.total_fund_size_usd / all_in
        return PortfolioDraws(
            multiples=portfolio_multiples(weights, drawn.moic, cash_weight),
            winners=portfolio_multiples(deals, self._is_winner),
            regimes=drawn.regimes,
        )

    def _draw(self, companies: IntArray) -> OutOfSampleScenarios:
        scenarios = range(self._start, self._start + self._scenarios)
        return self._drawn(self._config.sim_model_version, self._inputs, Purpose.OUT_OF_SAMPLE, scenarios, companies)
