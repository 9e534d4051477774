"""The three sets of scenarios of a decision, which share no number: one to choose on, one to tighten limits by, one to
judge on (`core.risk.out_of_sample_trial`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import numpy as np

from core.arrays import FloatArray
from core.matrix.scenario_matrix import ScenarioMatrix
from core.matrix.scenario_set import Expectations, Scenarios, ScenarioSet
from core.portfolio.exchangeable import exchangeable_buckets
from core.portfolio.strict import portfolio_multiples, shortfalls
from core.portfolio.tightening import EstimateRisk, RiskEstimate
from core.request.normalized_config import NormalizedConfig
from core.risk.measures import cvar
from core.risk.sampling_error import standard_errors
from core.simulation.drawing import remembered_draw
from core.simulation.expectations import EXPECTATIONS_VERSION
from core.simulation.inputs import SimulationInputs
from core.simulation.models import model_of
from core.simulation.philox import Purpose
from core.solver.feasibility import loss_count

FIRST_LOOK, SECOND_SET = 10_000, 50_000
"""Scenarios that a portfolio's risk is estimated in: the first of them suffice where they put it inside its limits."""

REMEMBERED = 16

_known: OrderedDict[str, Expectations] = OrderedDict()
_lock = Lock()


def expectations_of(inputs: SimulationInputs, version: str) -> Expectations:
    """By the model's distributions; remembered in this process under everything that they depend on, which the seed
    is not. Raises BadInput where a distribution has no mean."""
    known_by = f"{EXPECTATIONS_VERSION} {version} {replace(inputs, matrix_key='', scenario_count=0, correlation=None)}"
    with _lock:
        found = _known.get(known_by)
    if found is None:
        found = model_of(version).expectations(inputs)
        with _lock:
            _known[known_by] = found
            while len(_known) > REMEMBERED:
                _known.popitem(last=False)
    return found


def scenarios_to_choose_on(
    config: NormalizedConfig,
    matrix: ScenarioMatrix,
    inputs: SimulationInputs | None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Scenarios:
    """The matrix itself where the request asks for nothing else, else scenarios for the risk and the expectations of
    the distribution. inputs: of the matrix; None for an external one, which knows its own sample alone.

    Raises Cancelled, BadInput.
    """
    if config.expectations == "sample" and config.risk_scenarios is None:
        return matrix
    assert inputs is not None
    expected = None if config.expectations == "sample" else expectations_of(inputs, config.sim_model_version)
    moic = (
        matrix.moic
        if config.risk_scenarios is None
        else _drawn_multiples(config, inputs, Purpose.RISK, range(config.risk_scenarios), cancelled)
    )
    return ScenarioSet(
        moic=moic,
        bucket_keys=matrix.bucket_keys,
        win_probability=matrix.win_probability if expected is None else expected.win_probability,
        expectations=expected,
        exchangeable=() if expected is None else exchangeable_buckets(inputs),
    )


def risk_estimator(
    config: NormalizedConfig, inputs: SimulationInputs | None, cancelled: Callable[[], bool] = lambda: False
) -> EstimateRisk | None:
    """What limits are tightened by; None where they are enforced as asked, on a sample that is all there is."""
    if config.expectations == "sample" or inputs is None:
        return None
    return SecondSet(config, inputs, cancelled).estimate


class SecondSet:
    """Estimates the risk of weights in scenarios they were not chosen on; drawn when they are first needed."""

    def __init__(
        self, config: NormalizedConfig, inputs: SimulationInputs, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self._config, self._inputs, self._cancelled = config, inputs, cancelled
        self._moic: FloatArray = np.empty((len(config.buckets), 0))

    def estimate(self, weights: FloatArray) -> RiskEstimate:
        """Of weights (n_buckets,)."""
        config = self._config
        found = self._in(weights, FIRST_LOOK)
        if not found.inside(config.max_loss_probability, config.cvar_limit):
            found = self._in(weights, SECOND_SET)
        return found

    def _in(self, weights: FloatArray, scenarios: int) -> RiskEstimate:
        have = self._moic.shape[1]
        if have < scenarios:
            more = _drawn_multiples(
                self._config, self._inputs, Purpose.TIGHTENING, range(have, scenarios), self._cancelled
            )
            self._moic = np.concatenate([self._moic, more], axis=1)
        multiples = portfolio_multiples(weights, self._moic[:, :scenarios])
        confidence = self._config.cvar_confidence_level
        errors = standard_errors(multiples, multiples, confidence)
        assert errors.loss_probability is not None
        assert errors.cvar is not None
        return RiskEstimate(
            scenarios=scenarios,
            loss_probability=loss_count(multiples) / scenarios,
            loss_error=errors.loss_probability,
            cvar=cvar(shortfalls(multiples), confidence),
            cvar_error=errors.cvar,
        )


def _drawn_multiples(
    config: NormalizedConfig,
    inputs: SimulationInputs,
    purpose: Purpose,
    scenarios: range,
    cancelled: Callable[[], bool],
) -> FloatArray:
    """(n_buckets, scenarios), with the matrix's number of companies in each bucket. Not to be written to."""
    companies = model_of(config.sim_model_version).matrix_companies(inputs)
    return remembered_draw(config.sim_model_version, inputs, purpose, scenarios, companies, cancelled=cancelled).moic
