"""What one scenario model reads and another does not: the terms of `three_component_v2`, and their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pydantic.alias_generators import to_camel

from core.calibration.snapshot import REFERENCE_REGIMES, CalibrationSnapshot
from core.canonical import round6
from core.errors import FieldProblem
from core.matrix.key import MatrixParameters
from core.request.model import BucketRequest, OptimizationRequest
from core.simulation.inputs import BucketParams, CopulaTerms, Regime
from core.stages import Stage

COPULA_MODEL = "three_component_v2"
PARETO_MODEL = "three_component_v1"

NAMED = 3
"""Buckets that a message names."""

MULTIPLES = ("median_moic", "p90_moic")

FieldOf = Callable[[str, str], str]
"""(bucket key, field) -> where that field stands in the request."""


def copula_terms(request: OptimizationRequest, snapshot: CalibrationSnapshot) -> CopulaTerms | None:
    """None for a model that reads none of it."""
    if request.model_version != COPULA_MODEL:
        return None
    settings = request.scenario_gen_config
    return CopulaTerms(
        companies_per_bucket=settings.companies_per_bucket,
        regime_share=settings.variance_shares.regime,
        sector_share=settings.variance_shares.sector,
        idiosyncratic_share=settings.variance_shares.own,
        share_group_size=settings.share_group_size,
        transition_correlation=settings.transition_correlation,
        outcome_cap=settings.outcome_cap,
        recycling_cap=settings.recycling_config.recycling_cap,
        reference_regimes=tuple(
            Regime(regime.name, regime.probability, regime.shock_min, regime.shock_max)
            for regime in snapshot.reference_regimes or REFERENCE_REGIMES
        ),
    )


def fitted_for_problems(
    request: OptimizationRequest, requested: Sequence[BucketRequest], snapshot: CalibrationSnapshot
) -> Iterator[FieldProblem]:
    """Exit outcomes that were fitted for one model say nothing under another."""
    fitted_for = snapshot.exit_outcomes_fitted_for
    own = all(getattr(bucket, name) is not None for bucket in requested for name in MULTIPLES)
    if fitted_for not in (None, request.model_version) and not own:
        rule = (
            f"the exit outcomes of calibration {snapshot.version} were fitted for {fitted_for}; ask for that model, "
            "name a calibration for this one, or give every bucket its medianMoic and p90Moic"
        )
        yield FieldProblem("modelVersion", request.model_version, rule)


def copula_problems(parameters: MatrixParameters, field_of: FieldOf) -> Iterator[FieldProblem]:
    """Rules of `three_component_v2`, judged at six decimals, because those are the numbers that are simulated."""
    terms = parameters.copula
    if terms is None:
        return
    correlation, cap = terms.transition_correlation, terms.outcome_cap
    if round6(correlation) >= 1:
        yield FieldProblem("scenarioGenConfig.transitionCorrelation", correlation, "must be below 1, at six decimals")
    for bucket in parameters.buckets:
        yield from _bucket_problems(parameters, bucket, round6(cap), field_of)


def _bucket_problems(
    parameters: MatrixParameters, bucket: BucketParams, cap: float, field_of: FieldOf
) -> Iterator[FieldProblem]:
    if not float(round6(bucket.rounds_to_exit)).is_integer():
        field = field_of(bucket.key, to_camel("rounds_to_exit"))
        rule = f"must be a whole number of rounds for {COPULA_MODEL} (bucket {bucket.key})"
        yield FieldProblem(field, bucket.rounds_to_exit, rule)
        return
    yield from _cap_problem(bucket.key, bucket.stage, bucket.p90_moic, bucket.sector_return_multiplier, cap)
    for stage in tranche_stages(bucket):
        outcome = parameters.exit_outcomes.get(stage)
        if outcome is None:
            rule = (
                f"bucket {bucket.key} buys more of its companies in stage {stage}, for which calibration "
                f"{parameters.calibration_version} has no exit outcome"
            )
            yield FieldProblem(field_of(bucket.key, to_camel("rounds_to_exit")), bucket.rounds_to_exit, rule)
        else:
            yield from _cap_problem(bucket.key, stage, outcome.p90_moic, bucket.sector_return_multiplier, cap)


def _cap_problem(key: str, stage: Stage, p90: float, multiplier: float, cap: float) -> Iterator[FieldProblem]:
    largest = round6(p90) * round6(multiplier)
    if largest >= cap:
        rule = f"must exceed the 90th percentile of stage {stage} times the return multiplier of {key} ({largest:g})"
        yield FieldProblem("scenarioGenConfig.outcomeCap", cap, rule)


def tranche_stages(bucket: BucketParams) -> tuple[Stage, ...]:
    """The later stages in which the bucket spends its reserves, in order; none without reserves."""
    if round6(bucket.reserve_ratio) == 0:
        return ()
    return bucket.stage.later[: int(round6(bucket.rounds_to_exit))]


def expectation_problems(request: OptimizationRequest, parameters: MatrixParameters) -> Iterator[FieldProblem]:
    """A Pareto distribution with an exponent of 1 or less has no mean that a portfolio could be chosen by."""
    if request.expectations != "distribution" or parameters.sim_model_version != PARETO_MODEL:
        return
    without = [
        bucket.key for bucket in parameters.buckets if round6(bucket.p90_moic) >= 5.0 * round6(bucket.median_moic)
    ]
    if without:
        rule = (
            f'must be "sample" for {PARETO_MODEL} where a 90th percentile is 5 times its median or more, since such '
            f"multiples have no mean ({', '.join(without[:NAMED])}{', ...' if len(without) > NAMED else ''})"
        )
        yield FieldProblem("expectations", request.expectations, rule)
