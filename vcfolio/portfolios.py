"""What users call: optimize a request, simulate its scenarios, judge a portfolio of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core import pipeline
from core.errors import BadInput, FieldProblem
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.matrix.scenario_set import ScenarioSet
from core.portfolio.limits import Limits
from core.portfolio.problem import PortfolioProblem
from core.portfolio.report import constraint_report
from core.portfolio.strict import evaluate
from core.request import OptimizationRequest, parse_request, parse_request_text
from core.request.normalize import NormalizedRequest
from core.request.normalized_config import NormalizedConfig
from core.result.build import allocation_of, constraint_of, deals_from, validation_of
from core.result.verdict import verdict_of
from core.risk.scenario_sets import scenarios_to_choose_on
from core.risk.validate import validate as validate_weights
from vcfolio.calibrations import NIL_FUND, CalibrationSource, calibration_for
from vcfolio.progress import shown
from vcfolio.results import Portfolio, Result

RequestSource = OptimizationRequest | Mapping[str, Any] | str | os.PathLike[str]
ProgressSetting = bool | Callable[[str, str], None]

WEIGHT_SUM_TOLERANCE = 1e-9


def prepare(request: RequestSource, *, calibration: CalibrationSource = None) -> NormalizedRequest:
    """The request with every default resolved, and its matrix key. Parameters and errors as `optimize` has them."""
    parsed = _request(request)
    return pipeline.prepare(parsed, calibration_for(parsed, calibration))


def optimize(
    request: RequestSource, *, calibration: CalibrationSource = None, progress: ProgressSetting = True
) -> Result:
    """The portfolio with the highest expected multiple within the request's limits, proven and tested out of sample.

    request: a JSON file's path, a mapping of the request's JSON form, or a `Request`; without a fundId the fund is the
    nil UUID. calibration: the version of a shipped one, a TOML or JSON file, or a `Calibration`; None: what the request
    names, or the default one. progress: whether to show it, or a function that is told the stage and the step.
    The matrix, the weights and the figures are those of `vcfolio run` for the same request.
    Raises BadInput with every problem found, Infeasible where relaxation is off and the limits conflict,
    NoAnswerWithinLimit where the work limit is too low.
    """
    prepared = prepare(request, calibration=calibration)
    with shown(progress) as say:
        return Result(pipeline.run(prepared, say=say))


def simulate(
    request: RequestSource, *, calibration: CalibrationSource = None, progress: ProgressSetting = True
) -> ScenarioMatrix:
    """The request's scenario matrix: multiples by bucket and scenario, (n_buckets, n_scenarios) float32.

    Parameters and errors as `optimize` has them.
    """
    prepared = prepare(request, calibration=calibration)
    with shown(progress) as say:
        say("matrix", "simulating the scenarios")
        return pipeline.simulate(
            prepared.key_document,
            progress=lambda done, ranges: say("matrix", f"{done} of {ranges} block ranges"),
        )


def validate(
    request: RequestSource,
    weights: Mapping[str, float],
    *,
    calibration: CalibrationSource = None,
    progress: ProgressSetting = True,
) -> Portfolio:
    """A portfolio of the user's own, judged against the request's limits in sample and out of sample.

    weights: bucket id (such as Seed_AI) to fraction of the fund; buckets that are not named get nothing; all add up to
    1. Other parameters as `optimize` has them. Raises BadInput.
    """
    prepared = prepare(request, calibration=calibration)
    config = prepared.config
    vector = _weight_vector(weights, config)
    allocation = allocation_of(config, vector)
    with shown(progress) as say:
        say("matrix", "simulating the scenarios")
        matrix = pipeline.simulate(prepared.key_document)
        inputs = simulation_inputs(prepared.key_document)
        scenarios = ScenarioSet.regrouped(scenarios_to_choose_on(config, matrix, inputs), ())
        limits = Limits.of(config, scenarios.n_scenarios)
        metrics = validate_weights(
            config,
            limits,
            matrix,
            inputs,
            weights=vector,
            deals=deals_from(allocation, config),
            progress=lambda step: say("validate", step),
        )
    problem = PortfolioProblem.of(config, scenarios)
    report = constraint_report(problem, limits, vector, evaluate(vector, scenarios, config))
    constraints = tuple(constraint_of(status) for status in report)
    validation = validation_of(metrics)
    verdict = verdict_of(constraints, config.cvar_confidence_level, allocation, validation)
    return Portfolio(verdict, allocation, constraints, validation)


def _request(source: RequestSource) -> OptimizationRequest:
    if isinstance(source, OptimizationRequest):
        return source
    if isinstance(source, Mapping):
        return parse_request(dict(source), NIL_FUND)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput.of("request", str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput.of("request", str(path), f"must be UTF-8 text: {error.reason}") from error
    return parse_request_text(text, NIL_FUND)


def _weight_vector(weights: Mapping[str, float], config: NormalizedConfig) -> np.ndarray[Any, np.dtype[np.float64]]:
    known = [bucket.bucket_id for bucket in config.buckets]
    problems = [
        FieldProblem(f"weights.{name}", weight, f"must be one of the request's buckets, such as {known[0]}")
        for name, weight in weights.items()
        if name not in known
    ]
    problems += [
        FieldProblem(f"weights.{name}", weight, "must be a fraction between 0 and 1")
        for name, weight in weights.items()
        if not 0.0 <= weight <= 1.0
    ]
    if problems:
        raise BadInput(problems)
    vector = np.array([float(weights.get(name, 0.0)) for name in known])
    if abs(vector.sum() - 1.0) > WEIGHT_SUM_TOLERANCE:
        raise BadInput.of("weights", float(vector.sum()), "is the sum of the weights; it must be 1")
    return vector
