"""From a request and a calibration to the frozen configuration of a session and the key of its matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from core.calibration.snapshot import CalibrationSnapshot, CapTableTerms, DealTerms, ExitOutcome, SectorMultipliers
from core.canonical import round6
from core.errors import BadInput, FieldProblem
from core.matrix.key import MatrixParameters, key_document, matrix_key, reachable_stages
from core.request.correlation import rounded_correlation
from core.request.model import (
    DEFAULT_RISK_SCENARIOS,
    DEFAULT_VALIDATION_SCENARIOS,
    Bounds,
    BucketGrid,
    BucketRequest,
    OptimizationRequest,
    PolicyRequest,
)
from core.request.model_terms import (
    copula_problems,
    copula_terms,
    expectation_problems,
    fitted_for_problems,
)
from core.request.normalized_config import ConfiguredBucket, ExpectationsMode, NormalizedConfig, WeightBounds
from core.request.rules import bucket_dependent_problems
from core.request.scenarios import LabelledCorrelation, RegimeConfig
from core.request.wording import problems_in_words
from core.simulation.inputs import BucketParams, Recycling, Regime
from core.stages import Stage, bucket_id

_POSITIVE_BUCKET_PARAMS = (
    "median_moic",
    "initial_check_size",
    "sector_risk_multiplier",
    "sector_return_multiplier",
)
_AT_SIX = ", at six decimals"
_ABOVE_ZERO = f"must be above 0{_AT_SIX}"


@dataclass(frozen=True, slots=True)
class NormalizedRequest:
    """config: what optimization and validation read; key_document: what the simulation reads; matrix_key: its name."""

    config: NormalizedConfig
    key_document: dict[str, Any]
    matrix_key: str


def normalize(request: OptimizationRequest, snapshot: CalibrationSnapshot) -> NormalizedRequest:
    """Resolve every default. A figure comes from the bucket, else the request's policy, else the calibration.

    snapshot: the calibration that the request names, or the fund's newest where it names none.
    Raises `BadInput` with every rule that the request, together with the calibration, breaks.
    """
    requested = _requested_buckets(request, snapshot)
    parameters = _matrix_parameters(request, requested, snapshot)
    problems = [
        *_calibration_problems(request, requested, snapshot),
        *bucket_dependent_problems(request, requested),
        *fitted_for_problems(request, requested, snapshot),
        *_number_problems(request, parameters),
        *copula_problems(parameters, partial(_bucket_field, request)),
        *expectation_problems(request, parameters),
    ]
    if problems:
        raise BadInput(problems)
    document = key_document(parameters)
    return NormalizedRequest(_config(request, document), document, matrix_key(document))


def _requested_buckets(request: OptimizationRequest, snapshot: CalibrationSnapshot) -> tuple[BucketRequest, ...]:
    if isinstance(request.buckets, tuple):
        return request.buckets
    grid = request.buckets or BucketGrid()
    stages = grid.stages or [stage for stage in Stage if stage in snapshot.transition_stats]
    sectors = grid.sectors or sorted(snapshot.sectors)
    named = (("stages", stages, '["Seed", "A"]'), ("sectors", sectors, '["SaaS", "Biotech"]'))
    problems = [
        FieldProblem(f"buckets.{field}", None, f"calibration {snapshot.version} has none; name them, e.g. {example}")
        for field, values, example in named
        if not values
    ]
    if problems:
        raise BadInput(problems)
    try:
        return tuple(BucketRequest(stage=stage, sector=sector) for stage in stages for sector in sectors)
    except ValidationError as error:  # a calibration's sector that no request could name
        raise BadInput(problems_in_words(error, within=("buckets",))) from None


def _calibration_problems(
    request: OptimizationRequest, requested: Sequence[BucketRequest], snapshot: CalibrationSnapshot
) -> Iterator[FieldProblem]:
    if request.calibration_version not in (None, snapshot.version):
        rule = f"must be the version of the calibration used, {snapshot.version}"
        yield FieldProblem("calibrationVersion", request.calibration_version, rule)
    first_of: dict[Stage, BucketRequest] = {}
    for bucket in requested:
        first_of.setdefault(bucket.stage, bucket)
    for stage, bucket in first_of.items():
        for name, known in (
            ("transitions", snapshot.transition_stats),
            ("exit outcome", snapshot.exit_outcomes),
            ("deal terms", snapshot.deal_terms),
        ):
            if stage not in known:
                rule = f"calibration {snapshot.version} has no {name} for this stage"
                yield FieldProblem(_bucket_field(request, _key(bucket), "stage"), str(stage), rule)
    for stage in reachable_stages(first_of, snapshot.transition_stats, request.scenario_gen_config.max_rounds):
        if stage not in first_of and stage not in snapshot.transition_stats:
            rule = f"companies graduate into this stage, and calibration {snapshot.version} has no transitions for it"
            yield FieldProblem("buckets", str(stage), rule)


def _number_problems(request: OptimizationRequest, parameters: MatrixParameters) -> Iterator[FieldProblem]:
    """Rules judged at six decimals, because those are the numbers that are simulated. Rounding keeps order."""
    for bucket in parameters.buckets:
        for name in _POSITIVE_BUCKET_PARAMS:
            if round6(getattr(bucket, name)) <= 0:
                field = _bucket_field(request, bucket.key, to_camel(name))
                yield FieldProblem(field, getattr(bucket, name), f"{name} of bucket {bucket.key} {_ABOVE_ZERO}")
        if round6(bucket.p90_moic) <= round6(bucket.median_moic):
            rule = f"p90 must exceed the median multiple ({bucket.median_moic:g}) of bucket {bucket.key}{_AT_SIX}"
            yield FieldProblem(_bucket_field(request, bucket.key, "p90Moic"), bucket.p90_moic, rule)
    if round6(parameters.winner_multiple) <= 0:
        yield FieldProblem("scenarioGenConfig.winnerMultiple", parameters.winner_multiple, _ABOVE_ZERO)
    recycling = parameters.recycling
    if recycling.enabled and round6(recycling.cash_multiple) <= 0:
        yield FieldProblem("scenarioGenConfig.recyclingConfig.cashMultiple", recycling.cash_multiple, _ABOVE_ZERO)
    for name in ("dilution_per_round_pct", "option_pool_refresh_pct"):
        share = getattr(parameters.cap_table, name)
        if round6(share) >= 1:
            yield FieldProblem(f"policy.{to_camel(name)}", share, f"must be below 1{_AT_SIX}")


def _matrix_parameters(
    request: OptimizationRequest, requested: Sequence[BucketRequest], snapshot: CalibrationSnapshot
) -> MatrixParameters:
    """All that moves the matrix, of those buckets whose stage is calibrated."""
    sectors = sorted({bucket.sector for bucket in requested})
    deal_terms = {stage: _deal_terms(stage, request.policy, snapshot) for stage in snapshot.deal_terms}
    multipliers = {sector: _sector_multipliers(sector, request.policy, snapshot) for sector in sectors}
    settings = request.scenario_gen_config
    recycling = settings.recycling_config
    return MatrixParameters(
        fund_id=request.fund_id,
        taxonomy_version=request.taxonomy_version,
        sim_model_version=request.model_version,
        calibration_version=snapshot.version,
        scenario_count=settings.scenario_count,
        generated_scenarios=settings.generated_scenarios,
        buckets=[
            _bucket_params(bucket, snapshot.exit_outcomes[bucket.stage], deal_terms[bucket.stage], multipliers)
            for bucket in requested
            if bucket.stage in snapshot.exit_outcomes and bucket.stage in deal_terms
        ],
        transitions=snapshot.transition_stats,
        exit_outcomes=snapshot.exit_outcomes,
        deal_terms=deal_terms,
        cap_table=CapTableTerms(
            **{name: _first(getattr(request.policy, name), value) for name, value in snapshot.cap_table}
        ),
        sector_multipliers=multipliers,
        regimes=[
            Regime(regime.name, regime.probability, regime.shock_ranges.min, regime.shock_ranges.max)
            for regime in settings.regime_config.regimes
        ],
        correlation=_correlation(settings.regime_config, sectors),
        recycling=Recycling(
            enabled=recycling.enabled,
            utilization=recycling.utilization,
            cash_multiple=recycling.cash_multiple,
            max_recycle_deals=recycling.max_recycle_deals,
        ),
        max_rounds=settings.max_rounds,
        winner_multiple=settings.winner_multiple,
        copula=copula_terms(request, snapshot),
    )


def _deal_terms(stage: Stage, policy: PolicyRequest, snapshot: CalibrationSnapshot) -> DealTerms:
    calibrated = snapshot.deal_terms[stage]
    return DealTerms(
        initial_check_size=policy.initial_check_size_by_stage.get(stage, calibrated.initial_check_size),
        check_size_cv=policy.check_size_cv_by_stage.get(stage, calibrated.check_size_cv),
        reserve_ratio=policy.reserve_ratio_by_stage.get(stage, calibrated.reserve_ratio),
        rounds_to_exit=policy.rounds_to_exit_by_stage.get(stage, calibrated.rounds_to_exit),
    )


def _sector_multipliers(sector: str, policy: PolicyRequest, snapshot: CalibrationSnapshot) -> SectorMultipliers:
    """A sector of which neither policy nor calibration says anything does not differ from its stage."""
    calibrated = snapshot.sector_multipliers.get(sector, SectorMultipliers(risk=1.0, returns=1.0))
    return SectorMultipliers(
        risk=policy.sector_risk_multipliers.get(sector, calibrated.risk),
        returns=policy.sector_return_multipliers.get(sector, calibrated.returns),
    )


def _bucket_params(
    bucket: BucketRequest, outcome: ExitOutcome, terms: DealTerms, multipliers: Mapping[str, SectorMultipliers]
) -> BucketParams:
    sector = multipliers[bucket.sector]
    return BucketParams(
        key=_key(bucket),
        stage=bucket.stage,
        sector=bucket.sector,
        median_moic=_first(bucket.median_moic, outcome.median_moic),
        p90_moic=_first(bucket.p90_moic, outcome.p90_moic),
        reserve_ratio=_first(bucket.reserve_ratio, terms.reserve_ratio),
        initial_check_size=_first(bucket.initial_check_size, terms.initial_check_size),
        check_size_cv=_first(bucket.check_size_cv, terms.check_size_cv),
        rounds_to_exit=_first(bucket.rounds_to_exit, terms.rounds_to_exit),
        sector_risk_multiplier=_first(bucket.sector_risk_multiplier, sector.risk),
        sector_return_multiplier=_first(bucket.sector_return_multiplier, sector.returns),
    )


def _correlation(config: RegimeConfig, sectors: Sequence[str]) -> tuple[list[str], list[list[float]]] | None:
    """Rows and columns in sorted order of the sectors, whatever order the request labels them in."""
    given = config.correlation_matrix
    if given is None:
        return None
    if not isinstance(given, LabelledCorrelation):
        return list(sectors), rounded_correlation(given).tolist()
    order = sorted(range(len(given.sectors)), key=lambda position: given.sectors[position])
    rows = rounded_correlation(given.values)[np.ix_(order, order)]
    return [given.sectors[position] for position in order], rows.tolist()


def _config(request: OptimizationRequest, document: Mapping[str, Any]) -> NormalizedConfig:
    """Amounts come from the key document, so that optimizer and simulation see the same rounded ones."""
    buckets = tuple(
        ConfiguredBucket(
            bucket_id=bucket["key"],
            stage=bucket["stage"],
            sector=bucket["sector"],
            initial_check_usd=bucket["initial_check_size"],
            reserve_ratio=bucket["reserve_ratio"],
        )
        for bucket in document["bucket_params"]
    )
    return configuration(
        request,
        buckets,
        scenario_count=request.scenario_gen_config.scenario_count,
        sim_model_version=request.model_version,
        calibration_version=document["key"]["calibration_version"],
        expectations=request.expectations,
        risk_scenarios=_risk_scenarios(request),
    )


def configuration(
    request: OptimizationRequest,
    buckets: tuple[ConfiguredBucket, ...],
    *,
    scenario_count: int,
    sim_model_version: str,
    calibration_version: str,
    expectations: ExpectationsMode,
    risk_scenarios: int | None,
) -> NormalizedConfig:
    """What optimization and validation read of a request. buckets: in bucket-key order, as the rows of the matrix.

    expectations, risk_scenarios: as asked for, or "sample" and None for a matrix of which nothing else is known.
    """
    return NormalizedConfig(
        fund_id=request.fund_id,
        total_fund_size_usd=request.total_fund_size,
        max_loss_probability=request.max_loss_probability,
        cvar_confidence_level=request.cvar_confidence_level,
        cvar_limit=request.cvar_limit,
        min_expected_winners=request.min_expected_winners,
        bucket_max_weight=request.bucket_max_weight,
        sector_bounds={name: _weight_bounds(request.sector_bounds[name]) for name in sorted(request.sector_bounds)},
        stage_bounds={
            stage: _weight_bounds(request.stage_bounds[stage]) for stage in Stage if stage in request.stage_bounds
        },
        buckets=buckets,
        relaxation_mode=request.relaxation_mode,
        primary_lock_epsilon=request.primary_lock_epsilon,
        validation_scenarios=request.validation_scenarios or DEFAULT_VALIDATION_SCENARIOS[expectations],
        scenario_count=scenario_count,
        sim_model_version=sim_model_version,
        calibration_version=calibration_version,
        taxonomy_version=request.taxonomy_version,
        work_limit=request.work_limit,
        expectations=expectations,
        risk_scenarios=risk_scenarios,
    )


def _risk_scenarios(request: OptimizationRequest) -> int | None:
    """None: those of the matrix."""
    asked = request.risk_scenarios
    if asked is None:
        return DEFAULT_RISK_SCENARIOS if request.expectations == "distribution" else None
    return None if asked == "matrix" else asked


def _weight_bounds(bounds: Bounds) -> WeightBounds:
    return WeightBounds(min=bounds.min, max=bounds.max)


def _bucket_field(request: OptimizationRequest, key: str, field: str) -> str:
    """The place of a bucket's field in the request; buckets that are not listed one by one have none of their own."""
    if isinstance(request.buckets, tuple):
        position = [_key(bucket) for bucket in request.buckets].index(key)
        return f"buckets[{position}].{field}"
    return "buckets"


def _key(bucket: BucketRequest) -> str:
    return bucket_id(bucket.stage, bucket.sector)


def _first(override: float | None, otherwise: float) -> float:
    return otherwise if override is None else override
